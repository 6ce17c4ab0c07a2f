"""Detections as files: read back by others, whole or absent, one entry for each image."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from headstart.box_predictions import (
    BoxPrediction,
    boxes_csv,
    coco_dataset,
    coco_results,
    draw_boxes,
    write_boxes,
    yolo_lines,
)
from headstart.errors import ConfigError
from headstart.metrics.boxes import NAMES, detection_metrics
from headstart.types import Detections
from tests.metrics.boxes.cells import CLASSES, cells
from tests.metrics.boxes.slow import said

SEEN = BoxPrediction("a/one.jpg", (100, 200), said((10, 20, 50, 40, 0.9, 1), (0, 0, 200, 100, 0.25, 0)))
EMPTY = BoxPrediction("b/one.png", (50, 60), said())
BROKEN = BoxPrediction("gone.jpg", None, None, "gone.jpg: does not exist")
ALL = [SEEN, EMPTY, BROKEN]


def test_coco_counts_categories_and_images_from_one():
    assert coco_results(ALL) == [
        {"image_id": 1, "category_id": 2, "bbox": [10, 20, 40, 20], "score": pytest.approx(0.9)},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 200, 100], "score": 0.25}]
    assert coco_results(ALL, ids=[70, 8, 9])[0]["image_id"] == 70


def test_coco_has_one_entry_an_image_with_its_error():
    found = coco_dataset(ALL, ["x", "y"])
    assert [image["file_name"] for image in found["images"]] == ["a/one.jpg", "b/one.png", "gone.jpg"]
    assert [image["error"] for image in found["images"]] == [None, None, "gone.jpg: does not exist"]
    assert found["images"][0]["width"] == 200
    assert found["categories"] == [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]
    assert [row["area"] for row in found["annotations"]] == [800, 20000]


def test_yolo_is_in_shares_of_the_picture_and_comes_back():
    lines = [line.split() for line in yolo_lines(SEEN).splitlines()]
    assert [line[0] for line in lines] == ["1", "0"]
    x, y, width, height, score = map(float, lines[0][1:])
    assert (x, y, width, height, score) == pytest.approx((0.15, 0.3, 0.2, 0.2, 0.9))
    assert yolo_lines(EMPTY) == yolo_lines(BROKEN) == ""


def test_csv_has_a_row_for_every_detection_and_for_every_image_without():
    rows = list(csv.DictReader(io.StringIO(boxes_csv(ALL, ["x,\n", "y"]))))
    assert [(row["image"], row["label"], row["error"]) for row in rows] == [
        ("a/one.jpg", "y", ""), ("a/one.jpg", "x,\n", ""), ("b/one.png", "", ""),
        ("gone.jpg", "", "gone.jpg: does not exist")]
    assert [float(rows[0][side]) for side in ("left", "top", "right", "bottom")] == [10, 20, 50, 40]


def test_pycocotools_finds_in_the_written_files_what_we_found(tmp_path, capsys):
    """Truth through the written form of a dataset, detections through the written list."""
    coco, evaluation = (pytest.importorskip(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    given = cells(images=40)
    wrap = [BoxPrediction(f"{n}.jpg", (480, 640), found) for n, found in enumerate(given.found)]
    true = [BoxPrediction(f"{n}.jpg", (480, 640), Detections(t.boxes, np.ones(len(t.labels)), t.labels))
            for n, t in enumerate(given.truths)]
    write_boxes(tmp_path / "said", wrap, CLASSES, formats=["results"])
    write_boxes(tmp_path / "true", true, CLASSES, formats=["coco"])
    truth = coco.COCO(str(tmp_path / "true" / "predictions.json"))
    measured = evaluation.COCOeval(truth, truth.loadRes(str(tmp_path / "said" / "coco_results.json")), "bbox")
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
    capsys.readouterr()
    ours = detection_metrics(given.found, given.truths, 3)
    theirs = np.where(measured.stats < 0, np.nan, measured.stats)  # -1 says undefined
    assert [ours[name] for name in NAMES] == pytest.approx(theirs, abs=1e-6, nan_ok=True)


def test_files_are_named_for_their_images_and_none_is_written_over(tmp_path):
    pictures = {"a/one.jpg": Image.new("RGB", (200, 100)), "b/one.png": None}
    written = write_boxes(tmp_path, ALL, ["x", "y"], formats=["yolo", "pictures", "csv", "coco", "results"],
                          open_picture=pictures.get)
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == [
        "coco_results.json", "labels/classes.txt", "labels/one-2.txt", "labels/one.txt", "pictures/one.jpg",
        "predictions.csv", "predictions.json"]
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert (tmp_path / "labels" / "classes.txt").read_text() == "x\ny\n"
    assert json.loads((tmp_path / "predictions.json").read_text())["images"][2]["error"]


def test_boxes_are_drawn_where_they_are_and_the_picture_given_stays():
    blank = Image.new("L", (400, 300), 255)
    drawn = draw_boxes(blank, said((100, 100, 200, 180, 0.9, 1), (-5, -5, 500, 20, 0.5, 0)), ["x", "y"])
    assert blank.getextrema() == (255, 255)
    assert drawn.size == (400, 300)
    assert drawn.getpixel((100, 150)) == drawn.getpixel((150, 100)) == (0xC6, 0x51, 0x02)
    assert drawn.getpixel((150, 150)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(1, 1), (10, 2000), (3, 3)])
def test_boxes_are_drawn_on_pictures_of_any_size(size):
    assert draw_boxes(Image.new("RGB", size), said((0, 0, 1, 1, 0.5, 0)), ["a" * 300]).size == size


def test_an_unknown_format_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r'unknown format "yolov8".*Choices: coco, csv, pictures, results, yolo'):
        write_boxes(tmp_path, ALL, ["x", "y"], formats=["yolov8"])
    with pytest.raises(ConfigError, match="say how they are opened"):
        write_boxes(tmp_path, ALL, ["x", "y"], formats=["pictures"])
    assert list(tmp_path.iterdir()) == []
