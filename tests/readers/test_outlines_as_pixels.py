"""COCO, YOLO and LabelMe read as the class of each pixel: the same masks from all of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.data.pixel_classes import pixel_classes
from headstart.errors import ConfigError, DataError
from headstart.types import IGNORED
from tests.readers.boxes import coco, marked, pictures, yolo

CAT = [10, 5, 30, 5, 30, 20, 10, 20]
DOG = [0, 0, 60, 0, 60, 8, 0, 8]
"""Lies over a part of the cat in the file, and under it by size."""


def expected() -> np.ndarray:
    """0 background, 1 cat, 2 dog."""
    found = np.zeros((40, 60), np.uint8)
    found[:8] = 2
    found[5:20, 10:30] = 1
    return found


def masks(data: Dataset) -> list[np.ndarray]:
    return [pixel_classes(sample.mask) for sample in data.samples if sample.mask is not None]


def labelme(root: Path, shapes: list[dict[str, Any]]) -> Path:
    pictures(root, "1.png", "2.png")
    for name, own in (("1", shapes), ("2", [])):
        (root / f"{name}.json").write_text(json.dumps({"shapes": own, "imagePath": f"{name}.png", "imageHeight": 40,
                                                       "imageWidth": 60}))
    return root


def pairs(points: list[int]) -> list[list[int]]:
    return [list(pair) for pair in zip(points[::2], points[1::2], strict=True)]


def written(root: Path, format: str) -> Path:
    if format == "coco":
        return coco(root, [marked(1, segmentation=[CAT]), marked(2, category=7, box=(0, 0, 60, 8), segmentation=[DOG])])
    if format == "labelme":
        return labelme(root, [{"label": "cat", "points": pairs(CAT)}, {"label": "dog", "points": pairs(DOG)}])
    lines = [f"{label} " + " ".join(str(edge / (40 if place % 2 else 60)) for place, edge in enumerate(points))
             for label, points in ((0, CAT), (1, DOG))]
    return yolo(root, {"1": "\n".join(lines), "2": ""})


@pytest.mark.parametrize("format", ["coco", "yolo", "labelme"])
def test_every_format_gives_the_same_masks(tmp_path: Path, format: str) -> None:
    data = load_data(written(tmp_path, format), task="semantic")
    assert (data.format, data.task, data.classes) == (format, "semantic", ("background", "cat", "dog"))
    assert [sample.label for sample in data.samples] == [(0, 1, 2), (0,)]
    assert [(sample.objects, sample.annotated) for sample in data.samples] == [(None, None)] * 2
    assert np.array_equal(masks(data), [expected(), np.zeros((40, 60))])
    assert any("pixels that no object takes are `background`" in note for note in data.notes)


def test_run_lengths_crowds_and_void_are_drawn(tmp_path: Path) -> None:
    runs = {"size": [40, 60], "counts": [405, 10, 1985]}
    names = [{"id": 3, "name": "Background"}, {"id": 7, "name": "dog"}, {"id": 8, "name": "void"}]
    data = load_data(coco(tmp_path, [
        marked(1, category=7, segmentation=runs), marked(2, category=7, box=(20, 0, 10, 40), iscrowd=1),
        marked(3, category=8, segmentation=[[0, 0, 5, 0, 5, 5, 0, 5]]),
        marked(4, category=3, segmentation=[[50, 0, 60, 0, 60, 40, 50, 40]])], categories=names), task="semantic")
    assert data.classes == ("Background", "dog")
    found = np.zeros((40, 60), np.uint8)
    found[5:15, 10] = 1
    found[:, 20:30] = found[:5, :5] = IGNORED
    assert np.array_equal(masks(data)[0], found)


@pytest.mark.parametrize("format", ["coco", "yolo", "labelme"])
def test_an_object_without_an_outline_is_refused_or_its_image_left_out(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, format)
    if format == "coco":
        coco(tmp_path, [marked(1, segmentation=[CAT]), marked(2, image=2)])
    elif format == "labelme":
        record = json.loads((tmp_path / "2.json").read_text())
        record["shapes"] = [{"label": "cat", "points": [[10, 5], [30, 20]], "shape_type": "rectangle"}]
        (tmp_path / "2.json").write_text(json.dumps(record))
    else:
        (tmp_path / "labels/2.txt").write_text("0 0.3333333333 0.3125 0.3333333333 0.375\n")
    where = {"coco": "annotations.json image 2", "yolo": "labels/2.txt", "labelme": "2.json"}[format]
    with pytest.raises(DataError, match=rf"1 of 2 images have no mask that can be used:\n.*{where}: object 1 \(cat at "
                                        r"10, 5, 30, 20\) has a box, but no outline(?s:.*)reader.faulty=drop"):
        load_data(path, task="semantic")


def test_images_with_an_object_without_an_outline_can_be_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, "3.png")
    path = coco(tmp_path, [marked(1, segmentation=[CAT]), marked(2, image=2)],
                images=[{"id": n, "file_name": f"{n}.png"} for n in (1, 2, 3)])
    kept = load_data(path, task="semantic", settings={"faulty": "drop"})
    assert [sample.id for sample in kept.samples] == ["1.png", "3.png"]
    assert any("1 images left out, whose mask can't be used" in note for note in kept.notes)


@pytest.mark.parametrize(("shape", "reason"), [
    ([[1, 2, 3, 4]], "an outline of 4 numbers"), ([[1, 2, 3, 4, 5, 1e9]], "leads far out of the picture"),
    ({"size": [40, 60], "counts": [10**9]}, "add up to 1000000000, not to 60x40"),
    ({"size": [200_000, 200_000], "counts": [4 * 10**10]}, "larger than any picture that is read")])
def test_a_malformed_outline_is_named_with_its_annotation(tmp_path: Path, shape: Any, reason: str) -> None:
    path = coco(tmp_path, [marked(1, segmentation=[CAT]), marked(17, image=2, segmentation=shape)])
    with pytest.raises(DataError, match=rf"image 2: object 1(?s:.*)annotation 17 \(bad_mask: .*{reason}"):
        load_data(path, task="semantic")


def test_a_picture_of_another_size_than_its_annotation_is_refused(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 60} for n in (1, 2)]
    path = coco(tmp_path, [marked(1, segmentation=[CAT])], images=images)
    with pytest.raises(DataError, match=r"1.png: 60x40 pixels, its mask 40x60 \(turned on its side"):
        load_data(path, task="semantic")


def test_what_has_no_effect_or_no_labels_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "coco")
    with pytest.raises(ConfigError, match=r"reader\.faulty: has no effect on boxes"):
        load_data(path, settings={"faulty": "drop"})
    with pytest.raises(ConfigError, match="has no labels for classification, only for detection and semantic"):
        load_data(path, format="coco", task="classification")


def test_more_classes_than_a_pixel_can_have_are_refused(tmp_path: Path) -> None:
    names = [{"id": n, "name": f"kind {n}"} for n in range(254)]
    records = [marked(n, category=n, segmentation=[CAT]) for n in range(254)]
    with pytest.raises(DataError, match="255 classes; 254 are the most"):
        load_data(coco(tmp_path, records, categories=names), task="semantic")


def test_mask_files_come_before_outlines_where_pixels_are_asked_for(tmp_path: Path) -> None:
    """A folder that has both was read by its masks before outlines could be drawn."""
    coco(tmp_path / "images", [marked(1, segmentation=[CAT])]).rename(tmp_path / "instances.json")
    (tmp_path / "masks").mkdir()
    for number in (1, 2):
        Image.fromarray(expected() % 2).save(tmp_path / f"masks/{number}.png")
    assert load_data(tmp_path, task="semantic").format == "masks"
    assert load_data(tmp_path).format == "coco"
