import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError, HeadstartError
from tests.readers.boxes import found, pictures, voc, voc_xml
from tests.shared_data import shared

ONE = voc_xml([("cat", (1, 1, 60, 40)), ("dog", (11, 6, 30, 20))])


def test_pixels_are_counted_from_1_and_the_last_is_inside(tmp_path: Path) -> None:
    data = load_data(voc(tmp_path, {"a": ONE, "b": voc_xml([])}))
    assert (data.task, data.format) == ("detection", "voc")
    assert found(data) == {"JPEGImages/a.png": [("cat", 0, 0, 60, 40), ("dog", 10, 5, 30, 20)], "JPEGImages/b.png": []}
    assert (data.samples[0].annotated, data.samples[0].where) == ((40, 60), "Annotations/a.xml")


def test_edges_are_read_as_they_stand_where_said(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": voc_xml([("cat", (0, 0, 60, 40))]), "b": ONE})
    assert found(load_data(root, settings={"origin": 0}))["JPEGImages/a.png"] == [("cat", 0, 0, 60, 40)]
    assert any("1 boxes begin at 0" in note and "reader.origin=0" in note for note in load_data(root).notes)


def test_image_sets_say_the_splits(tmp_path: Path) -> None:
    sets = {"train": "a\nb\n", "val": "c\n", "trainval": "a\nb\nc\n"}
    root = voc(tmp_path, dict.fromkeys("abcd", ONE), sets)
    data = load_data(root)
    assert [(s.id[-5], s.split) for s in data.samples] == [("a", "train"), ("b", "train"), ("c", "val")]
    assert "Annotations/d.xml (in no list of ImageSets/Main)" in data.ignored
    assert {s.split for s in load_data(root, settings={"sets": "ignore"}).samples} == {None}
    (root / "ImageSets/Main/val.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"1 images are in two splits:\n  a: in train\.txt and val\.txt"):
        load_data(root)


def test_trainval_counts_as_train_where_it_stands_alone(tmp_path: Path) -> None:
    root = voc(tmp_path, dict.fromkeys("abc", ONE), {"trainval": "a\nb  1\n", "test": "c\n"})
    assert [s.split for s in load_data(root).samples] == ["train", "train", "test"]


def test_files_beside_their_images_and_in_split_folders(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        for name in ("a", "b"):
            pictures(tmp_path / split, f"{name}.png")
            (tmp_path / split / f"{name}.xml").write_text(ONE)
    assert [(s.id, s.split) for s in load_data(tmp_path).samples] == [
        ("train/a.png", "train"), ("train/b.png", "train"), ("valid/a.png", "val"), ("valid/b.png", "val")]


def test_difficult_is_kept_and_parts_are_no_objects(tmp_path: Path) -> None:
    text = ONE.replace("<difficult>0", "<difficult>1", 1).replace(
        "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>", 1)
    data = load_data(voc(tmp_path, {"a": text, "b": ONE}))
    assert [o.difficult for o in data.samples[0].objects or ()] == [True, False]


def test_the_name_of_the_file_goes_before_the_one_inside(tmp_path: Path) -> None:
    data = load_data(voc(tmp_path, {"a": voc_xml([("cat", (1, 1, 5, 5))], name="old.jpg"), "b": ONE}))
    assert data.samples[0].id == "JPEGImages/a.png"
    assert any("1 files name another image in <filename>" in note for note in data.notes)


@pytest.mark.parametrize(("text", "message"), [
    ('<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>', "has a document type or entities"),
    ("<annotation>" + "<a>" * 200 + "</a>" * 200 + "</annotation>", "nested more than 50 deep"),
    ("<annotation>", "a.xml line 1: not XML"), ("", "not XML"),
    (voc_xml([("cat", (1, 1, 5, 5))], name="../../etc/passwd"), r"leads out of the data; nothing was read"),
    (voc_xml([("cat", (1, 1, 5, 5))], name="C:\\x.jpg"), r"leads out of the data"),
    (ONE.replace("<xmin>11", "<xmin>x"), r"a\.xml: object 2 \(dog\): its bndbox is not four numbers"),
    (ONE.replace("<xmin>11", "<xmin>nan"), r"object 2 \(dog\): its bndbox is not four"),
    (ONE.replace("<name>dog", "<name>"), "object 2: has no name")])
def test_a_wrong_file_is_named_and_nothing_outside_read(tmp_path: Path, text: str, message: str) -> None:
    root = voc(tmp_path, {"a": ONE, "b": ONE})
    (root / "Annotations/a.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_data(root, format="voc")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": ONE, "b": ONE})
    (root / "Annotations/a.xml").write_bytes(b" " * 10_000_001)
    with pytest.raises(DataError, match="more than 10 MB"):
        load_data(root, format="voc")


def test_images_without_annotation_are_left_aside_and_missing_ones_refused(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": ONE, "b": ONE, "c": ONE})
    (root / "JPEGImages/a.png").unlink()
    (root / "Annotations/c.xml").unlink()
    with pytest.raises(DataError, match=r"an annotated image does not exist:\n  Annotations/a\.xml: no image called a"):
        load_data(root)
    data = load_data(root, skip_bad=True)
    assert "JPEGImages/c.png (no annotation)" in data.ignored
    assert len(data) == 2


def test_the_blood_cells_are_read_without_being_told_how() -> None:
    data = load_data(shared("bccd"))
    assert (data.format, data.classes, len(data)) == ("voc", ("Platelets", "RBC", "WBC"), 364)
    assert sum(len(s.objects or ()) for s in data.samples) == 4888
    assert [sum(s.split == name for s in data.samples) for name in ("train", "val", "test")] == [205, 87, 72]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.integers(0, 2000), text=st.binary(max_size=6), cut=st.integers(0, 40))
def test_random_damage_is_an_error_of_ours_or_reads(tmp_path: Path, place: int, text: bytes, cut: int) -> None:
    root = voc(tmp_path, {"a": ONE, "b": ONE})
    whole = ONE.encode()
    start = place % len(whole)
    (root / "Annotations/a.xml").write_bytes(whole[:start] + text + whole[start + cut:])
    with contextlib.suppress(HeadstartError):
        load_data(root, format="voc")


def test_the_one_data_set_in_the_folder_of_a_download_is_found(tmp_path: Path) -> None:
    voc(tmp_path / "VOCdevkit/VOC2012", dict.fromkeys("abc", ONE), {"train": "a\nb\n", "val": "c\n"})
    (tmp_path / "VOCdevkit/VOCcode").mkdir()
    plain = load_data(tmp_path / "VOCdevkit/VOC2012")
    for outer in (tmp_path / "VOCdevkit", tmp_path):
        data = load_data(outer)
        assert (data.samples, data.root) == (plain.samples, tmp_path / "VOCdevkit/VOC2012")
        assert f"read from VOC2012, the one data set in {outer}" in data.notes


def test_of_several_data_sets_in_a_folder_one_is_to_be_chosen(tmp_path: Path) -> None:
    for year in (2007, 2012):
        voc(tmp_path / f"VOCdevkit/VOC{year}", dict.fromkeys("ab", ONE))
    with pytest.raises(ConfigError, match=r"holds 2 data sets.*VOC2007, VOC2012\. Point at one.*such as .*VOC2012\.$"):
        load_data(tmp_path / "VOCdevkit")


def test_a_link_out_of_the_folder_is_followed_only_where_allowed(tmp_path: Path) -> None:
    voc(tmp_path / "elsewhere/VOC2012", dict.fromkeys("ab", ONE))
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit/VOC2012").symlink_to(tmp_path / "elsewhere/VOC2012")
    with pytest.raises(DataError, match=r"a link out of .*reader\.outside=allow"):
        load_data(tmp_path / "VOCdevkit")
    assert len(load_data(tmp_path / "VOCdevkit", settings={"outside": "allow"})) == 2


def test_split_folders_with_annotations_of_their_own_are_no_data_sets_to_choose_from(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        voc(tmp_path / split, dict.fromkeys("ab", ONE))
    with pytest.raises(DataError, match="this looks like object detection"):
        load_data(tmp_path)
