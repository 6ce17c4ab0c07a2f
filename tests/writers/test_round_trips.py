"""What one format holds comes back: written by a writer, read by the reader of the same name."""

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.conversion import Converted, file_names, write_dataset
from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from headstart.types import Box, Instance, Rle, Sample
from headstart.writers.writer import WRITERS
from tests.pictures import picture
from tests.shared_data import shared

SIZE = (60, 40)
SQUARE = (10.0, 5.0, 30.0, 5.0, 30.0, 20.0, 10.0, 20.0)
FORMATS = ("coco", "voc", "yolo")


def dataset(folder: Path, objects: list[tuple[Instance, ...]], *, splits: bool = True) -> Dataset:
    samples = []
    for number, found in enumerate(objects):
        path = picture(folder / f"{number}.png", seed=number, size=SIZE)
        samples.append(Sample(path.name, path, tuple(sorted({o.label for o in found})),
                              ("train", "val")[number % 2] if splits else None, objects=found, annotated=(40, 60)))
    return Dataset(tuple(samples), ("no", "ü & <dog>"), "detection", "test", folder)


def converted(data: Dataset, to: str, out: Path, **settings: object) -> Converted:
    return write_dataset(data, WRITERS.get(to).parse(dict(settings)), out)


def by_name(data: Dataset) -> dict[str, list[tuple[str, Instance]]]:
    """The objects of each image, by the name of its file, each with its class."""
    return {Path(str(s.source)).stem: [(data.classes[o.label], replace(o, label=0)) for o in s.objects or ()]
            for s in data.samples}


def close(first: Dataset, second: Dataset, *, within: float) -> bool:
    """Whether both have the same images, classes and splits, and boxes that differ by no more pixels than this."""
    a, b = by_name(first), by_name(second)
    assert {n: [name for name, _ in found] for n, found in a.items()} == \
        {n: [name for name, _ in found] for n, found in b.items()}
    assert sorted((s.split, Path(str(s.source)).stem) for s in first.samples) == \
        sorted((s.split, Path(str(s.source)).stem) for s in second.samples)
    pairs = [(x.box, y.box) for n in a for (_, x), (_, y) in zip(a[n], b[n], strict=True)]
    return all(np.abs(np.subtract(x, y)).max() <= within for x, y in pairs)


EDGE = st.floats(0, 40, allow_subnormal=False)
BOX = st.tuples(EDGE, EDGE, EDGE, EDGE).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3])))
OBJECTS = st.lists(st.builds(Instance, st.integers(0, 1), BOX), max_size=4).map(tuple)


@settings(max_examples=25, deadline=None)
@given(objects=st.lists(OBJECTS, min_size=2, max_size=3).filter(lambda o: o[0] and o[0][0].label == 0 and len(o) > 1),
       to=st.sampled_from([("coco", 1e-12), ("voc", 0.5e-4), ("yolo", 1e-6)]))
def test_boxes_come_back_as_exactly_as_the_format_can_hold(
        objects: list[tuple[Instance, ...]], to: tuple[str, float]) -> None:
    first = (*objects[0], Instance(1, (1, 1, 5, 5)))
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(Path(folder, "data"), [first, *objects[1:]])
        converted(data, to[0], Path(folder, "out"))
        assert close(data, load_data(Path(folder, "out")), within=to[1] + 1e-12)


@pytest.mark.parametrize("to", FORMATS)
def test_whole_pixels_come_back_exactly(tmp_path: Path, to: str) -> None:
    data = dataset(tmp_path / "data", [(Instance(1, (10, 5, 30, 20)), Instance(0, (0, 0, 60, 40))), (),
                                       (Instance(0, (1, 2, 3, 4)),)])
    result = converted(data, to, tmp_path / "out")
    assert (result.images, result.objects, result.notes) == (3, 3, ())
    back = load_data(tmp_path / "out")
    assert back.format == to
    assert close(data, back, within=1e-7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]  # no temporary folder stays


def test_coco_holds_everything(tmp_path: Path) -> None:
    rle = Rle(40, 60, (405, 10, 1985))
    objects = (Instance(0, (10, 5, 30, 20), polygons=(SQUARE, SQUARE[:6])),
               Instance(1, (10, 5, 11, 15), crowd=True, rle=rle),
               Instance(1, (1, 1, 5, 5), difficult=True))
    data = dataset(tmp_path / "data", [objects, ()])
    assert converted(data, "coco", tmp_path / "out").notes == ()
    back = load_data(tmp_path / "out")
    assert back.samples[0].objects == objects
    assert [(s.split, s.annotated) for s in back.samples] == [("train", (40, 60)), ("val", (40, 60))]


def test_what_a_format_loses_is_said(tmp_path: Path) -> None:
    objects = (Instance(0, (10, 5, 30, 20), polygons=(SQUARE,)), Instance(1, (1, 1, 5, 5.5), difficult=True),
               Instance(1, (10, 5, 11, 15), crowd=True, rle=Rle(40, 60, (405, 10, 1985))))
    data = dataset(tmp_path / "data", [objects, ()], splits=False)
    data = replace(data, samples=tuple(replace(sample, group="g", weight=2) for sample in data.samples))
    assert converted(data, "voc", tmp_path / "voc").notes == (
        "1 objects: outlines are left out, boxes kept", "1 objects: run-length masks are left out, boxes kept",
        "1 objects: crowds are marked difficult instead",
        "1 objects: edges lie on no whole pixel and are written with decimals; for tools that read whole numbers only, "
        "--set writer.decimals=0", "2 images have a group, which is not kept",
        "2 images have a weight, which is not kept")
    whole = converted(data, "voc", tmp_path / "whole", decimals=0)
    assert whole.notes[3] == "1 objects: edges are rounded to 0 decimals"
    assert converted(data, "yolo", tmp_path / "yolo").notes[:5] == (
        "1 objects: crowds are left out: a line would make each an object", "1 objects: difficult is not kept",
        "1 objects: run-length masks are left out, boxes kept",
        "1 objects: outlines are left out, boxes kept; --set writer.shapes=polygons keeps them",
        "2 images have no split, and stand under train")
    converted(data, "yolo", tmp_path / "outlines", shapes="polygons")
    np.testing.assert_allclose(load_data(tmp_path / "outlines").samples[0].objects[0].polygons, [SQUARE])  # type: ignore[index]
    assert load_data(tmp_path / "voc").samples[0].objects[2].difficult  # type: ignore[index]


def test_names_are_unique_and_safe_on_any_system(tmp_path: Path) -> None:
    path = picture(tmp_path / "x.png")
    ids = ["a/1.png", "b/1.jpg", "B/1.JPG", "c:?/\\n.png", ".png", "row 5", "deep/" + "x" * 300 + ".png", "2.png"]
    data = Dataset(tuple(Sample(name, path, ()) for name in ids), ("a",), "detection", "test")
    assert file_names(data) == ["a_1.png", "b_1.png", "B_1-2.png", "_n.png", "png.png", "row 5.png",
                                "x" * 120 + ".png", "2.png"]


def test_images_inside_tables_are_written_with_the_ending_of_their_kind(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (1, 1, 5, 5)),)] * 2)
    content = (tmp_path / "data/0.png").read_bytes()
    inside = replace(data.samples[0], id="row 1", source=partial(bytes, content))
    converted(replace(data, samples=(inside, data.samples[1])), "coco", tmp_path / "out")
    assert (tmp_path / "out/images/train/row 1.png").read_bytes() == content


def test_links_are_the_same_files_and_copies_are_not(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (1, 1, 5, 5)), Instance(1, (1, 1, 9, 9)))] * 2)
    write_dataset(data, WRITERS.get("yolo")(), tmp_path / "linked", images="link")
    write_dataset(data, WRITERS.get("yolo")(), tmp_path / "copied")
    inode = (tmp_path / "data/0.png").stat().st_ino
    assert (tmp_path / "linked/images/train/0.png").stat().st_ino == inode
    assert (tmp_path / "copied/images/train/0.png").stat().st_ino != inode


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (1, 1, 5, 5)),)] * 2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    with pytest.raises(ConfigError, match="this folder is not empty"):
        converted(data, "coco", tmp_path / "full")
    (tmp_path / "data/1.png").write_bytes(b"")
    with pytest.raises(DataError, match="1 images can't be read"):
        converted(data, "coco", tmp_path / "out")
    with pytest.raises(DataError, match="data for classification have not"):
        converted(replace(data, task="classification"), "coco", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "full"]


@pytest.mark.parametrize("to", FORMATS)
def test_the_blood_cells_come_back_whole(tmp_path: Path, to: str) -> None:
    data = load_data(shared("bccd"))
    assert write_dataset(data, WRITERS.get(to)(), tmp_path / "out", images="link").notes == ()
    assert close(data, load_data(tmp_path / "out"), within=1e-6)


def test_coco_is_written_as_its_definition_has_it(tmp_path: Path) -> None:
    box: Box = (10, 5, 30, 20)
    converted(dataset(tmp_path / "data", [(Instance(1, box),), ()], splits=False), "coco", tmp_path / "out")
    value = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    assert value["annotations"] == [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 15], "area": 300,
                                     "iscrowd": 0, "segmentation": []}]
    assert value["images"][0] == {"id": 1, "file_name": "0.png", "width": 60, "height": 40}


def test_yolo_and_voc_are_written_as_their_definitions_have_it(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(1, (15, 10, 45, 30)),), ()])
    converted(data, "yolo", tmp_path / "yolo")
    assert (tmp_path / "yolo/labels/train/0.txt").read_text() == "1 0.5 0.5 0.5 0.5\n"
    assert (tmp_path / "yolo/labels/val/1.txt").read_text() == ""
    converted(data, "voc", tmp_path / "voc")
    text = (tmp_path / "voc/Annotations/0.xml").read_text()
    assert "<xmin>16</xmin>\n\t\t\t<ymin>11</ymin>\n\t\t\t<xmax>45</xmax>\n\t\t\t<ymax>30</ymax>" in text
    assert (tmp_path / "voc/ImageSets/Main/val.txt").read_text() == "1\n"
