import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError, HeadstartError
from headstart.types import Rle
from tests.readers.boxes import coco, found, marked, pictures

SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def test_boxes_are_edges_and_classes_go_by_name(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(1, category=7), marked(2, image=2, category=3, box=(0, 0, 60, 40))])
    data = load_data(path)
    assert (data.task, data.format, data.classes) == ("detection", "coco", ("cat", "dog"))
    assert found(data) == {"1.png": [("dog", 10, 5, 30, 20)], "2.png": [("cat", 0, 0, 60, 40)]}
    assert [(s.label, s.annotated, s.where) for s in data.samples] == [
        ((1,), (40, 60), "annotations.json image 1"), ((0,), (40, 60), "annotations.json image 2")]
    assert "annotations.json: category ids go from 3 to 7 with gaps; classes are matched by name" in data.notes


def test_a_folder_is_the_same_as_its_file(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(1)])
    assert found(load_data(tmp_path)) == found(load_data(path))


def test_images_without_objects_and_unused_categories_are_told(tmp_path: Path) -> None:
    data = load_data(coco(tmp_path, [marked(1)]))
    assert data.samples[1].objects == ()
    assert data.classes == ("cat",)
    assert "classes without an object, left out: dog" in data.notes


def test_splits_come_from_the_names_of_files_and_folders(tmp_path: Path) -> None:
    for split, year in (("train", "train2017"), ("val", "val2017")):
        coco(tmp_path / "one" / year, [marked(1)]).rename(tmp_path / f"{split}.json")
        (tmp_path / "one/annotations").mkdir(exist_ok=True)
        (tmp_path / f"{split}.json").rename(tmp_path / f"one/annotations/instances_{year}.json")
    data = load_data(tmp_path / "one")
    assert [(s.id, s.split) for s in data.samples] == [
        ("train2017/1.png", "train"), ("train2017/2.png", "train"), ("val2017/1.png", "val"), ("val2017/2.png", "val")]
    for split in ("train", "valid", "test"):
        coco(tmp_path / "two" / split, [marked(1)], name="_annotations.coco.json")
    assert [s.split for s in load_data(tmp_path / "two").samples] == ["test", "test", "train", "train", "val", "val"]


def test_several_files_without_splits_are_refused_with_the_choices(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        coco(tmp_path, [marked(1)], name=name)
    with pytest.raises(ConfigError, match=r"several COCO files(?s:.*)a\.json\n.*b\.json"):
        load_data(tmp_path)
    assert len(load_data(tmp_path / "b.json")) == 2


def test_outlines_run_lengths_and_crowds_are_read(tmp_path: Path) -> None:
    outline = [10, 5, 30, 5, 30, 20, 10, 20]
    runs = [405, 10, 1985]  # column 10, rows 5 to 14 of 40
    path = coco(tmp_path, [marked(1, segmentation=[outline]),
                           marked(2, image=2, iscrowd=1, segmentation={"size": [40, 60], "counts": runs})])
    first, second = (sample.objects[0] for sample in load_data(path).samples if sample.objects)
    assert first.polygons == (tuple(map(float, outline)),)
    assert (second.crowd, second.rle) == (True, Rle(40, 60, tuple(runs)))


def test_a_box_that_is_not_given_is_that_of_the_mask(tmp_path: Path) -> None:
    records = [marked(1, segmentation=[[10, 5, 30, 6, 20, 20]]),
               marked(2, segmentation={"size": [40, 60], "counts": [405, 10, 1985]})]
    for record in records:
        del record["bbox"]
    assert found(load_data(coco(tmp_path, records)))["1.png"] == [("cat", 10, 5, 30, 20), ("cat", 10, 5, 11, 15)]


@pytest.mark.parametrize(("shape", "reason"), [
    ([[1, 2, 3, 4]], "an outline of 4 numbers"), ([[1, 2, 3, 4, 5, 1e9]], "leads far out of the picture"),
    ([[1, 2, 3, 4, 5, "x"]], "holds something that is no number"), ("x", "is no list of points"),
    ({"size": [40, 60], "counts": [1, 2]}, "add up to 3, not to 60x40"),
    ({"size": [60, 40], "counts": [2400]}, "the mask has 40x60 pixels, the picture 60x40"),
    ({"size": [200000, 200000], "counts": [40000000000]}, "larger than any picture"),
    ({"size": [40, 60], "counts": [-1, 2401]}, "no whole numbers of 0 or more"),
    ({"size": [40, 60], "counts": "ooooooooooo"}, "are damaged"), ({"size": [40, 60], "counts": "o"}, "stop early"),
    ({"size": [40], "counts": [2400]}, "no size of two whole numbers")])
def test_a_bad_mask_is_listed_and_its_box_kept(tmp_path: Path, shape: Any, reason: str) -> None:
    data = load_data(coco(tmp_path, [marked(5, segmentation=shape)]))
    assert found(data)["1.png"] == [("cat", 10, 5, 30, 20)]
    (left,) = [item for item in data.ignored if "bad_mask" in item]
    assert left.startswith("annotations.json annotation 5 (bad_mask: ")
    assert reason in left


@pytest.mark.parametrize(("records", "message"), [
    ([marked(4, category=9)], "annotation 4: its category_id 9 is the id of no category"),
    ([marked(4, image=9)], "annotation 4: its image_id 9 is the id of no image"),
    ([marked(4, box=(1, 2, 3))], r"annotation 4: its bbox \[1, 2, 3\] is not four numbers"),
    ([marked(4, box=(1, 2, 3, "4"))], "annotation 4: its bbox"),
    ([marked(4), marked(4)], "annotation 4: the id stands there twice"),
    ([marked(4, iscrowd=2)], "annotation 4: iscrowd is 2"), (["x"], "annotation number 1: is no record"),
    ([{"id": 4, "image_id": 1, "category_id": 3}], "annotation 4: has no bbox")])
def test_a_wrong_annotation_is_named(tmp_path: Path, records: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(coco(tmp_path, records))


@pytest.mark.parametrize(("changes", "message"), [
    ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "category 1: the id stands there twice"),
    ({"categories": [{"id": 1, "name": " "}]}, "category 1: has no name"),
    ({"categories": [{"name": "a"}]}, "category number 1: has no id"),
    ({"images": [{"id": 1, "file_name": "1.png"}] * 2}, "image 1: the id stands there twice"),
    ({"images": [{"id": 1, "file_name": "../1.png"}]}, r'image 1: "\.\./1\.png" is no path inside the data'),
    ({"images": [{"id": 1, "file_name": "gone.png"}]}, "an annotated image does not exist"),
    ({"images": [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "1.png"}]}, "1.png: annotations.json image 1 "
                                                                                    "and annotations.json image 2"),
    ({"annotations": None}, 'no list "annotations"')])
def test_a_wrong_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(coco(tmp_path, [marked(1)], **changes))


def test_a_missing_image_is_kept_for_the_check_where_asked(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(1)])
    (tmp_path / "2.png").unlink()
    assert len(load_data(path, skip_bad=True)) == 2


def test_the_folder_of_images_can_be_named(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(1)])
    pictures(tmp_path / "photos", "1.png", "2.png")
    assert load_data(path, settings={"images": "photos"}).samples[0].id == "photos/1.png"


def test_another_task_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(1)])
    with pytest.raises(ConfigError, match="the format coco has no labels for classification"):
        load_data(path, task="classification")


def test_two_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    same = [{"id": 3, "name": "cat"}, {"id": 7, "name": " cat"}]
    data = load_data(coco(tmp_path, [marked(1), marked(2, category=7)], categories=same))
    assert data.classes == ("cat",)
    assert any("several ids have one name" in note for note in data.notes)


@SAME_FOLDER
@given(place=st.integers(0, 2000), text=st.binary(max_size=6), cut=st.integers(0, 40))
def test_random_damage_is_an_error_of_ours_or_reads(tmp_path: Path, place: int, text: bytes, cut: int) -> None:
    path = coco(tmp_path, [marked(1, segmentation=[[1, 2, 3, 4, 5, 6]]),
                           marked(2, segmentation={"size": [40, 60], "counts": [405, 10, 1985]})])
    whole = path.read_bytes()
    start = place % len(whole)
    path.write_bytes(whole[:start] + text + whole[start + cut:])
    with contextlib.suppress(HeadstartError):
        load_data(path, format="coco")


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
                      lambda inner: st.lists(inner, max_size=3)
                      | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6)


@SAME_FOLDER
@given(record=st.fixed_dictionaries({}, optional={
    "id": VALUES, "image_id": VALUES | st.just(1), "category_id": VALUES | st.just(3),
    "bbox": VALUES | st.just([1, 2, 3, 4]),
    "iscrowd": VALUES, "segmentation": VALUES | st.fixed_dictionaries({"size": st.just([40, 60]), "counts": st.text() |
                                                                       VALUES})}))
def test_any_record_is_an_error_of_ours_or_reads(tmp_path: Path, record: dict[str, Any]) -> None:
    path = coco(tmp_path, [marked(1)])
    value = json.loads(path.read_text())
    value["annotations"].append(record)
    path.write_text(json.dumps(value))
    with contextlib.suppress(HeadstartError):
        load_data(path)


def test_a_large_file_is_known_whatever_the_order_of_its_parts(tmp_path: Path) -> None:
    path = coco(tmp_path, [marked(number) for number in range(4000)])
    assert path.stat().st_size > 250_000
    assert load_data(path).format == "coco"
    many = {f"image-{number}": "x" * 40 for number in range(4000)}
    path.write_text(json.dumps({**json.loads(path.read_text()), "info": many}))
    assert load_data(path).format == "coco"


def test_images_in_no_annotation_file_are_told_and_a_file_may_have_no_split(tmp_path: Path) -> None:
    coco(tmp_path, [marked(1)])
    pictures(tmp_path, "extra.png")
    assert "extra.png (in no annotation file)" in load_data(tmp_path).ignored
