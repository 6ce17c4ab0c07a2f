import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError, HeadstartError
from tests.readers.boxes import found, pictures, yolo

ONE = "0 0.5 0.5 0.5 0.5\n1 .25 .25 .5 .5\n"


def test_shares_become_edges_in_pixels(tmp_path: Path) -> None:
    data = load_data(yolo(tmp_path, {"a": ONE, "b": ""}))
    assert (data.task, data.format, data.classes) == ("detection", "yolo", ("cat", "dog"))
    assert found(data) == {"images/a.png": [("cat", 15, 10, 45, 30), ("dog", 0, 0, 30, 20)], "images/b.png": []}
    assert [s.split for s in data.samples] == ["train", "train"]
    assert data.samples[0].where == "labels/a.txt"


def test_names_stay_words(tmp_path: Path) -> None:
    lines = "".join(f"{number} .5 .5 .5 .5\n" for number in range(6))
    names = "names:\n  0: no\n  1: yes\n  2: 0123\n  3: null\n  4: 1e3\n  5: true\n"
    data = load_data(yolo(tmp_path, {"a": lines, "b": ONE}, "train: images\nnc: 6\n" + names))
    assert [box[0] for box in found(data)["images/a.png"]] == ["no", "yes", "0123", "null", "1e3", "true"]


@pytest.mark.parametrize(("data", "message"), [
    ("train: images\nnames: [a, b]\nnames: [b, a]\n", r'the key "names" stands twice'),
    ("train: images\nnc: 3\nnames: [a, b]\n", "nc is 3, but there are 2 names"),
    ("train: images\nnames: {1: a, 2: b}\n", "names has the index '2', but 2 names have the indices 0 to 1"),
    ("train: images\nnames: [a, a]\n", "several classes are called a"),
    ("train: images\nnames: [a, '']\n", "class 1 is"),
    ("train: images\nnames: 5\n", "has no names"),
    ("train: gone\nnames: [a, b]\n", 'train is "gone", which is not there'),
    ("train: ../../x\nnames: [a, b]\n", "which is not there. Where it leads out of the folder"),
    ("train: {a: b}\nnames: [a, b]\n", "train is not a path"),
    ("train: images\nval: images\nnames: [a, b]\n", "2 images are in two splits")])
def test_a_wrong_data_yaml_is_refused(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        load_data(yolo(tmp_path, {"a": ONE, "b": ""}, data))


@pytest.mark.parametrize(("line", "message"), [
    ("2 .5 .5 .5 .5", r"labels/a\.txt line 2: the class 2 is not one of 0 to 1 \(is the first class 0"),
    ("-1 .5 .5 .5 .5", "line 2: the class -1 is not one of"), ("x .5 .5 .5 .5", 'the class "x" is no whole number'),
    ("0 .5 .5 .5", "3 numbers behind the class"), ("0 .5 .5 .5 .5 .9", "5 numbers behind the class"),
    ("0 nan .5 .5 .5", "no finite number"), ("0 320 240 64 48", "320 is no share of the picture.*pixels")])
def test_a_wrong_line_is_named_by_file_and_number(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(yolo(tmp_path, {"a": f"0 .5 .5 .5 .5\n{line}\n", "b": ""}))


def test_outlines_have_the_box_around_them(tmp_path: Path) -> None:
    data = load_data(yolo(tmp_path, {"a": "1 .1 .1 .5 .25 .2 .5\n", "b": ""}))
    assert found(data)["images/a.png"] == [("dog", 6, 4, 30, 20)]
    assert data.samples[0].objects[0].polygons == ((6, 4, 30, 10, 12, 20),)  # type: ignore[index]


def test_images_without_a_label_file_have_no_objects_and_are_told(tmp_path: Path) -> None:
    data = load_data(yolo(tmp_path, {"a": ONE, "b": None}))
    assert data.samples[1].objects == ()
    assert any("1 images have no label file" in note for note in data.notes)


def test_splits_roots_and_lists_of_data_yaml(tmp_path: Path) -> None:
    root = yolo(tmp_path, {"train/a": ONE, "train/b": ONE, "valid/c": ONE, "d": ONE},
                "path: .\ntrain: ../images/train\nval: [images/valid]\ntest: test.txt\nnames: [cat, dog]\n")
    (root / "test.txt").write_text("./images/d.png\n")
    assert [(s.id, s.split) for s in load_data(root).samples] == [
        ("images/train/a.png", "train"), ("images/train/b.png", "train"), ("images/valid/c.png", "val"),
        ("images/d.png", "test")]
    (root / "test.txt").write_text("gone.png\n")
    with pytest.raises(DataError, match=r'test\.txt line 1: "gone\.png" does not exist'):
        load_data(root / "data.yaml")


def test_folders_without_data_yaml_need_names(tmp_path: Path) -> None:
    root = yolo(tmp_path, {"train/a": ONE, "val/b": ONE})
    (root / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"no data\.yaml or classes\.txt names the classes"):
        load_data(root)
    assert load_data(root, settings={"names": ["x", "y"]}).classes == ("x", "y")
    (root / "classes.txt").write_text("cat\ndog\n")
    assert [(s.id, s.split) for s in load_data(root).samples] == [("images/train/a.png", "train"),
                                                                  ("images/val/b.png", "val")]


def test_shares_are_of_the_upright_picture(tmp_path: Path) -> None:
    root = yolo(tmp_path, {"a": ONE, "b": ""})
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / "images/a.png") as image:
        image.save(root / "images/a.jpg", exif=exif)
    (root / "images/a.png").unlink()
    assert found(load_data(root))["images/a.jpg"][0] == ("cat", 10, 15, 30, 45)


def test_an_unreadable_picture_waits_for_the_check(tmp_path: Path) -> None:
    root = yolo(tmp_path, {"a": ONE, "b": ONE})
    (root / "images/a.png").write_bytes(b"")
    assert len(load_data(root).samples[0].objects or ()) == 2


def test_nothing_outside_is_followed_unless_allowed(tmp_path: Path) -> None:
    pictures(tmp_path / "elsewhere/images", "x.png", "y.png")
    root = yolo(tmp_path / "data", {"a": ONE, "b": ""}, "train: ../elsewhere/images\nnames: [cat, dog]\n")
    with pytest.raises(DataError, match=r"--set reader\.outside=allow"):
        load_data(root)
    with pytest.raises(DataError, match="none of its 2 images has an object"):
        load_data(root, settings={"outside": "allow"})


def test_two_files_that_could_be_data_yaml_are_refused(tmp_path: Path) -> None:
    root = yolo(tmp_path, {"a": ONE, "b": ""})
    (root / "other.yaml").write_text((root / "data.yaml").read_text())
    with pytest.raises(ConfigError, match=r"several files could be its data\.yaml"):
        load_data(root)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(label=st.binary(max_size=40) | st.text(alphabet="0123456789. -e\n", max_size=60).map(str.encode),
       tail=st.binary(max_size=30))
def test_random_files_are_an_error_of_ours_or_read(tmp_path: Path, label: bytes, tail: bytes) -> None:
    root = yolo(tmp_path, {"a": ONE, "b": ONE})
    (root / "labels/a.txt").write_bytes(label)
    (root / "data.yaml").write_bytes((root / "data.yaml").read_bytes() + tail)
    with contextlib.suppress(HeadstartError):
        load_data(root, format="yolo")
