"""Images and masks that a table brings together."""

from pathlib import Path

import numpy as np
import pytest

from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from tests.readers.test_masks import TRUTH, classes_of, mask, photo

ROWS = ("image,mask,split,patient", "x/1.png,y/one.png,train,p1", "x/2.png,y/two.png,train,p1",
        "x/3.png,y/three.png,test,p2")


def folder(root: Path, rows: tuple[str, ...] = ROWS) -> Path:
    for number, name in enumerate(("one", "two", "three"), 1):
        photo(root / f"x/{number}.png", seed=number)
        mask(root / f"y/{name}.png", np.roll(TRUTH, number, axis=0))
    (root / "pairs.csv").write_text("\n".join(rows) + "\n")
    return root


def read(root: Path, **settings: object) -> Dataset:
    return load_data(root, format="masks", settings={"table": "pairs.csv", "classes": "sky,wall,road", **settings})


def test_rows_bring_images_and_masks_together_with_splits_and_groups(tmp_path: Path) -> None:
    data = read(folder(tmp_path))
    assert [(s.id, s.split, s.group, s.where) for s in data.samples] == [
        ("x/1.png", "train", "p1", "y/one.png"), ("x/2.png", "train", "p1", "y/two.png"),
        ("x/3.png", "test", "p2", "y/three.png")]
    for number, found in enumerate(classes_of(data), 1):
        np.testing.assert_array_equal(found, np.roll(TRUTH, number, axis=0))


def test_numbered_objects_have_splits_and_groups_too(tmp_path: Path) -> None:
    data = read(folder(tmp_path), instances=True, classes="cell")
    assert [(s.split, s.group, len(s.objects or ())) for s in data.samples] == [
        ("train", "p1", 2), ("train", "p1", 2), ("test", "p2", 2)]


@pytest.mark.parametrize(("rows", "message"), [
    (("image,mask", "x/1.png,y/four.png", "x/2.png,y/two.png"),
     r'pairs.csv row 1: mask "y/four.png" is no picture in .*\. Mend the paths, which start in the data folder'),
    (("image,mask", "x/1.png,y/one.png", ",y/two.png"), "pairs.csv row 2: image is empty"),
    (("image,mask,split", "x/1.png,y/one.png,first", "x/2.png,y/two.png,test"), 'row 1: split is "first", not train'),
    (("image,mask", "x/1.png,y/one.png", "x/1.png,y/two.png"),
     r"x/1.png has 2 masks \(y/one.png, y/two.png\)\. Leave one row for each image; or"),
    (("image,mask,split", "x/1.png,y/one.png,train", "x/1.png,y/two.png,test"),
     "row 2: the image has another split or group than in row 1"),
])
def test_what_is_wrong_is_named_by_its_row(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(folder(tmp_path, rows))


def test_a_table_without_the_two_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column for masks among image, picture\. Call the two"):
        read(folder(tmp_path, ("image,picture", "x/1.png,y/one.png")))
    with pytest.raises(ConfigError, match=r"reader.table: other.csv is no file"):
        read(tmp_path, table="other.csv")
    with pytest.raises(ConfigError, match=r"no effect beside reader\.table"):
        read(tmp_path, images="x/*")


def test_a_file_for_each_class_can_stand_in_rows_of_its_own(tmp_path: Path) -> None:
    for number in (1, 2):
        photo(tmp_path / f"x/{number}.png", seed=number)
        for name, value in (("sky", 1), ("road", 2)):
            mask(tmp_path / name / f"m{number}.png", ((value == TRUTH) * 255).astype(np.uint8))
    (tmp_path / "pairs.csv").write_text("image,mask\n" + "".join(
        f"x/{number}.png,{name}/m{number}.png\n" for number in (1, 2) for name in ("sky", "road")))
    data = load_data(tmp_path, format="masks", settings={"table": "pairs.csv", "layers": True})
    assert data.classes == ("background", "road", "sky")
    np.testing.assert_array_equal(classes_of(data)[0], np.array([0, 2, 1], np.uint8)[TRUTH])


def test_a_row_may_stand_twice_and_a_mask_of_several_images_is_told(tmp_path: Path) -> None:
    data = read(folder(tmp_path, (*ROWS, ROWS[1], "x/2.png,y/two.png,train,p1")))
    assert len(data) == 3
    shared = read(folder(tmp_path, ("image,mask", "x/1.png,y/one.png", "x/2.png,y/one.png", "x/3.png,y/three.png")))
    assert "1 masks are of several images each, such as y/one.png" in shared.notes


def test_folders_may_be_links(tmp_path: Path) -> None:
    folder(tmp_path / "there")
    here = tmp_path / "here"
    here.mkdir()
    for name in ("x", "y", "pairs.csv"):
        (here / name).symlink_to(tmp_path / "there" / name)
    assert [sample.id for sample in read(here, outside="allow").samples] == ["x/1.png", "x/2.png", "x/3.png"]
