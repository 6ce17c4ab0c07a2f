import os
import unicodedata
from pathlib import Path

import pytest

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from headstart.readers.class_folders import ClassFolders
from tests.pictures import folders, picture
from tests.shared_data import shared


def found(root: Path, **settings: object) -> dict[str, tuple[str, str | None]]:
    """Class and split of each image."""
    data = load_data(root, settings=settings)
    return {sample.id: (data.classes[sample.label], sample.split) for sample in data.samples}  # type: ignore[index]


def test_each_folder_is_a_class_and_names_are_sorted_as_text(tmp_path: Path) -> None:
    data = load_data(folders(tmp_path, {"10": 1, "9": 2, "Zebra": 1, "ant": 1}))
    assert data.classes == ("10", "9", "Zebra", "ant")
    assert [sample.id for sample in data.samples][:3] == ["10/10-0.png", "9/9-0.png", "9/9-1.png"]
    assert (data.task, data.format, data.root) == ("classification", "class_folders", tmp_path)


@pytest.mark.parametrize("val", ["val", "valid", "Validation", "dev"])
def test_split_folders_are_recognised(tmp_path: Path, val: str) -> None:
    folders(tmp_path, {"train/a": 2, "train/b": 2, f"{val}/a": 1, f"{val}/b": 1, "test/b": 1})
    assert set(found(tmp_path).values()) == {("a", "train"), ("b", "train"), ("a", "val"), ("b", "val"), ("b", "test")}
    assert "classes without an image in test, so that nothing is known of them there: a" in load_data(tmp_path).notes


@pytest.mark.parametrize("shape", ["data/images/{s}/{c}", "{s}/images/{c}", "{c}/{s}", "{s}/{c}/deeper/still"])
def test_splits_are_found_wherever_they_nest(tmp_path: Path, shape: str) -> None:
    folders(tmp_path, {shape.format(s=s, c=c): 1 for s in ("train", "test") for c in ("a", "b")})
    assert sorted(found(tmp_path).values()) == [("a", "test"), ("a", "train"), ("b", "test"), ("b", "train")]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert {name for name, _ in found(folders(tmp_path, {"bus": 1, "car": 1, "train": 1})).values()} == \
        {"bus", "car", "train"}


def test_folders_inside_class_folders_belong_to_the_class(tmp_path: Path) -> None:
    folders(tmp_path, {"cat/old": 1, "cat/new/more": 1, "dog": 1})
    assert sorted(found(tmp_path).values()) == [("cat", None), ("cat", None), ("dog", None)]


def test_a_hierarchy_is_read_at_its_top_and_said(tmp_path: Path) -> None:
    folders(tmp_path, {"pets/cat": 1, "pets/dog": 1, "wild/fox": 1})
    data = load_data(tmp_path)
    assert data.classes == ("pets", "wild")
    assert "if they are the classes: --set reader.classes_at=2" in data.notes[-1]
    assert load_data(tmp_path, settings={"classes_at": 2}).classes == ("cat", "dog", "fox")


def test_domains_are_not_taken_for_classes(tmp_path: Path) -> None:
    folders(tmp_path, {f"{domain}/{name}": 1 for domain in ("photo", "sketch") for name in ("cat", "dog")})
    with pytest.raises(DataError) as caught:
        load_data(tmp_path)
    for choice in (f"{tmp_path / 'photo'}", "reader.classes_at=2", "reader.classes_at=1"):
        assert choice in str(caught.value)
    assert load_data(tmp_path, settings={"classes_at": 2}).classes == ("cat", "dog")
    assert load_data(tmp_path, settings={"classes_at": 1}).classes == ("photo", "sketch")


def test_a_given_level_counts_inside_split_folders(tmp_path: Path) -> None:
    folders(tmp_path, {f"{s}/{d}/{c}": 1 for s in ("train", "val") for d in ("x", "y") for c in ("a", "b")})
    assert load_data(tmp_path, settings={"classes_at": 2}).classes == ("a", "b")
    with pytest.raises(DataError, match=r"no image lies as deep as the class folders should \(level 6\)"):
        load_data(tmp_path, settings={"classes_at": 5})


def test_hidden_files_and_clutter_are_ignored_and_listed(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1, ".ipynb_checkpoints": 1, "__MACOSX/a": 1, "a/.hidden": 1})
    for name in ("Thumbs.db", ".DS_Store", "b/._x.png", "readme.md"):
        (tmp_path / name).write_bytes(b"x")
    data = load_data(tmp_path)
    assert data.classes == ("a", "b")
    assert len(data) == 2
    assert set(data.ignored) == {
        ".DS_Store (hidden)", ".ipynb_checkpoints (hidden)", "Thumbs.db (made by the operating system)",
        "__MACOSX (made by the operating system)", "a/.hidden (hidden)", "b/._x.png (hidden)",
        "readme.md (not an image)"}
    assert "7 files or folders left aside" in data.notes[1]


def test_endings_match_in_any_case_and_content_decides_without_one(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    picture(tmp_path / "a/x.JPG")
    picture(tmp_path / "a/y.png").rename(tmp_path / "a/y")
    picture(tmp_path / "a/z.png").rename(tmp_path / "a/z.png.bak")
    (tmp_path / "a/photo.heic").write_bytes(b"\0\0\0\x18ftypheic")  # counted, so that the check must name it
    assert {"a/x.JPG", "a/y", "a/z.png.bak", "a/photo.heic"} <= set(found(tmp_path))


def test_images_beside_the_class_folders_are_left_aside_and_said(tmp_path: Path) -> None:
    picture(folders(tmp_path, {"a": 1, "b": 1}) / "stray.png")
    data = load_data(tmp_path)
    assert "stray.png (in no class folder)" in data.ignored
    assert "1 images lie in no class folder and are left aside, such as stray.png" in data.notes


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "a")
    data = load_data(tmp_path)
    assert data.classes == ("a", "b")
    assert len(data) == 3
    assert "c/ (a link to a folder that is read already)" in data.ignored


def test_links_out_of_the_folder_are_refused_unless_allowed(tmp_path: Path) -> None:
    folders(tmp_path, {"data/a": 1, "data/b": 1, "elsewhere": 1})
    (tmp_path / "data/c").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"1 links lead out of the folder:\n  c\n.*--set reader\.outside=allow"):
        load_data(tmp_path / "data")
    assert load_data(tmp_path / "data", settings={"outside": "allow"}).classes == ("a", "b", "c")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "b").chmod(0)
    with pytest.raises(DataError, match="the folder can't be read"):
        load_data(tmp_path)


def test_odd_names_work_and_stay_unique(tmp_path: Path) -> None:
    folders(tmp_path, {"grün 🐝": 1, "new\nline": 1})
    picture(tmp_path / ("x" * 255) / ("y" * 251 + ".png"))
    folders(Path(os.fsdecode(os.fsencode(tmp_path))), {os.fsdecode(b"bytes\xff"): 1})
    data = load_data(tmp_path)
    assert {"grün 🐝", "new\\nline", "bytes\\udcff"} < set(data.classes)
    assert all(sample.id.isprintable() for sample in data.samples)


def test_an_accent_written_in_two_ways_is_one_class(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    folders(tmp_path, {f"train/{one}": 1, "train/tea": 1, f"val/{two}": 1, "val/tea": 1})
    assert load_data(tmp_path).classes == (one, "tea")


@pytest.mark.parametrize(("counts", "message"), [
    ({"": 3}, "3 images without labels: they lie in no class folder"),
    ({"cat": 3}, r"needs at least 2 classes and 2 images, found 3 images of: \[cat\]"),
    ({"cat": 2, "dog": 0}, "1 of 2 classes have no image: dog"),
    ({"train/a": 1, "train/b": 1, "val/b": 1, "val/c": 1}, "1 classes have images in val and none in train.\n"
                                                           "only in val: c\nin train: a, b"),
    ({"train/a": 1, "train/b": 0, "val/b": 1}, "only in val: b\nin train: a"),
    ({"train": 2, "test": 2}, "test and train hold images, but no class folders"),
    ({"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1, "extra/a": 1}, r"others beside them \(extra\)")])
def test_what_can_not_be_read_gets_its_own_message(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(folders(tmp_path, counts))


def test_folders_without_images_say_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image in this folder \(it is empty\)"):
        load_data(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match=r"no image in this folder \(it holds nothing but folders: cats\)"):
        load_data(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"no image in this folder \(it holds notes\.txt\)"):
        load_data(tmp_path)


def test_several_labels_need_a_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="multi-label data need a table"):
        load_data(folders(tmp_path, {"a": 1, "b": 1}), task="multilabel")


def test_folders_are_claimed_and_files_are_not(tmp_path: Path) -> None:
    assert ClassFolders.claims(str(tmp_path))
    assert not ClassFolders.claims(str(picture(tmp_path / "a.png")))
    assert not ClassFolders.claims(str(tmp_path / "gone"))


@pytest.mark.parametrize(("name", "what"), [
    ("bccd", "object detection .Pascal VOC"), ("camvid", "segmentation"), ("membranes", "segmentation"),
    ("pennfudan", "segmentation")])
def test_data_of_another_task_are_recognised(name: str, what: str) -> None:
    with pytest.raises(DataError, match=f"this looks like {what}"):
        load_data(shared(name), format="class_folders")


def test_yolo_coco_and_masks_among_images_are_recognised(tmp_path: Path) -> None:
    folders(tmp_path / "yolo", {"images": 2})
    for number in range(2):
        (tmp_path / f"yolo/images/images-{number}.txt").write_text("0 .5 .5 .1 .1")
    with pytest.raises(DataError, match=r"object detection .YOLO or similar"):
        load_data(tmp_path / "yolo")
    folders(tmp_path / "coco", {"train": 1, "valid": 1})
    (tmp_path / "coco/train/_annotations.coco.json").write_text("{}")
    with pytest.raises(DataError, match=r"object detection .COCO.*To read its boxes: --format coco"):
        load_data(tmp_path / "coco", format="class_folders")
    for name in ("benign", "malignant"):
        for number in range(2):
            picture(tmp_path / f"busi/{name}/{number}.png", seed=number)
            picture(tmp_path / f"busi/{name}/{number}_mask.png", seed=number)
    with pytest.raises(DataError, match="masks among the images, such as benign/0_mask;"):
        load_data(tmp_path / "busi", format="class_folders")
    classes = load_data(tmp_path / "busi", format="class_folders", settings={"classes_at": 1}).classes
    assert classes == ("benign", "malignant")


def test_classes_named_for_masks_are_classes(tmp_path: Path) -> None:
    for name in ("with_mask", "without_mask"):
        for number in range(3):
            picture(tmp_path / f"{name}/{number}.png", seed=number)
    assert load_data(tmp_path).classes == ("with_mask", "without_mask")


@pytest.mark.parametrize(("name", "counts"), [
    ("hymenoptera", (398, 2)), ("brain_mri", (253, 2)), ("office_caltech10/amazon", (958, 10))])
def test_real_sets_are_read_whole(name: str, counts: tuple[int, int]) -> None:
    data = load_data(shared(name))
    assert (len(data), len(data.classes)) == counts


def test_real_domains_are_refused_with_the_choices() -> None:
    with pytest.raises(DataError, match=r"inside each of several others .amazon, caltech10, dslr, webcam"):
        load_data(shared("office_caltech10"))
