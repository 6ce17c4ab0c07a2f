"""Rows 24 to 29, 33 and 34: annotations of boxes that are malformed, mean something else, or attack."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headstart.data.boxes import mended
from headstart.data.check import check, enforce
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from tests.faults.matrix import row
from tests.readers.boxes import coco, found, marked, voc, voc_xml, yolo

LINE = "0 .5 .5 .5 .5\n"


def checked(folder: Path, path: Path):  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "HEADSTART_CACHE", str(folder / "cache"))
        data = load_data(path)
        return data, check(data, listen=silent, quick=True)


@row(24, "names of classes in data.yaml that look like values, and a key twice")
def names_of_yolo(folder: Path) -> None:
    lines = "".join(f"{number} .5 .5 .5 .5\n" for number in range(4))
    data = load_data(yolo(folder / "a", {"a": lines, "b": lines}, "train: images\nnames: [no, yes, 0123, null]\n"))
    assert [box[0] for box in found(data)["images/a.png"]] == ["no", "yes", "0123", "null"]
    with pytest.raises(ConfigError, match='the key "names" stands twice'):
        load_data(yolo(folder / "b", {"a": lines, "b": lines}, "train: images\nnames: [a]\nnames: [b]\n"))


@row(25, "COCO with NaN, double keys and ids, endless nesting, huge numbers, no JSON")
def bad_json(folder: Path) -> None:
    path = coco(folder, [marked(7), marked(8)])
    whole = path.read_text()
    for old, new, message in (
            ("[10, 5, 20, 15]", "[NaN, 5, 20, 15]", "annotation 7: NaN is not JSON"),
            ("[10, 5, 20, 15]", "[10, 5, Infinity, 15]", "annotation 7: Infinity is not JSON"),
            ("[10, 5, 20, 15]", "[10, 5, 1e999, 15]", "annotation 7: its bbox .* is not four numbers"),
            ('"id": 8', '"id": 7', "annotation 7: the id stands there twice"),
            ('"id": 8,', '"id": 8, "image_id": 2,', 'annotation 8: the key "image_id" stands there twice'),
            ("[10, 5, 20, 15]", f"[10, 5, 20, {'9' * 5000}]", "annotation 7: a whole number of 5000 digits"),
            ("[10, 5, 20, 15]", "[" * 200_000, "nested too deep|not JSON"), ("{", "", "not JSON"),
            (whole, "", "not JSON")):
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(DataError, match=message):
            load_data(path, format="coco")


@row(26, "boxes without an area, or of less than a pixel")
def without_area(folder: Path) -> None:
    boxes = [(10, 5, 20, 15), (1, 1, 0, 5), (1, 1, -3, 5), (1, 1, .5, 5)]
    placed = [(image, box) for image in (1, 2) for box in boxes]
    path = coco(folder, [marked(n, image=image, box=box) for n, (image, box) in enumerate(placed)])
    data, report = checked(folder, path)
    assert (report.finding("box_degenerate").count, report.finding("box_swapped").count) == (4, 2)
    enforce(report)
    left = mended(data, report.sizes)
    assert [len(sample.objects) for sample in left.samples] == [1, 1]
    assert "4 boxes left out: a side of less than a pixel, or a single pixel" in left.notes


@row(27, "boxes outside their image are clipped, dropped, or refused where they are many")
def outside(folder: Path) -> None:
    inside = [marked(n, image=1 + n % 2, box=(n % 30, 5, 20, 15)) for n in range(60)]
    corners = [marked(n, image=1 + n % 2, box=(20, 10, 50, 35)) for n in range(4)]
    few = [*inside, marked(100, box=(50, 5, 20, 15)), marked(101, box=(59, 5, 60, 15))]
    data, report = checked(folder, coco(folder / "few", few))
    assert report.finding("box_outside").level == "warning"
    left = mended(data, report.sizes)
    assert left.samples[0].objects[-1].box == (50, 5, 60, 20)
    assert sum(len(sample.objects) for sample in left.samples) == 61
    _, report = checked(folder, coco(folder / "many", corners))
    with pytest.raises(DataError, match=r"box_outside: 4 of 4 boxes(?s:.*)xyxy vs xywh\?"):
        enforce(report)


@row(28, "class ids that are too large, negative, or counted from 1")
def class_ids(folder: Path) -> None:
    for text in (f"{LINE}2 .5 .5 .5 .5\n", f"{LINE}-1 .5 .5 .5 .5\n"):
        with pytest.raises(DataError, match=r"labels/a\.txt line 2: the class -?\d is not one of 0 to 1"):
            load_data(yolo(folder / text[15:17], {"a": text, "b": LINE}))
    data = load_data(coco(folder / "coco", [marked(1, category=1), marked(2, category=2, image=2)],
                          categories=[{"id": 2, "name": "a"}, {"id": 1, "name": "b"}]))
    assert [data.classes[sample.objects[0].label] for sample in data.samples] == ["b", "a"]  # type: ignore[index]


@row(29, "images without boxes are negatives; all of them empty are refused")
def negatives(folder: Path) -> None:
    data, report = checked(folder, yolo(folder / "some", {"a": LINE, "b": "", "c": None}))
    assert [len(sample.objects) for sample in data.samples] == [1, 0, 0]
    assert report.finding("images_empty").text == "2 of 3 images show no object; they teach what is none."
    with pytest.raises(DataError, match="none of its 2 images has an object"):
        load_data(yolo(folder / "none", {"a": "", "b": ""}))


@row(33, "malformed outlines and run lengths never reach native code")
def bad_masks(folder: Path) -> None:
    shapes: list[Any] = [[[1, 1, 5, 1, 5, 1e9]], [[1, 1]], {"size": [200000, 200000], "counts": [1, 39999999999]},
                         {"size": [40, 60], "counts": [2401]}, {"size": [40, 60], "counts": "P" * 99},
                         {"size": [40, 60], "counts": [-1, 2401]}, {"size": [0, 0], "counts": []}]
    path = coco(folder, [marked(number, segmentation=shape) for number, shape in enumerate(shapes)])
    code = ("import sys; from headstart.data.load import load_data; data = load_data(sys.argv[1]); "
            "print(sum('bad_mask' in item for item in data.ignored), len(data.samples[0].objects))")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["7", "7"]), done.stderr
    value = json.loads(path.read_text())
    del value["annotations"][0]["bbox"]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="annotation 0: has no bbox, and an outline leads far out of the picture"):
        load_data(path)


@row(34, "VOC with entities, document types, ways out of the folder")
def hostile_xml(folder: Path) -> None:
    (folder / "secret.txt").write_text("the secret")
    bomb = '<!DOCTYPE b [<!ENTITY a "ha">' + "".join(f'<!ENTITY a{n} "{"&a;" * 10}">' for n in range(9)) + "]>"
    outer = f'<!DOCTYPE b [<!ENTITY x SYSTEM "file://{folder}/secret.txt">]>'
    good = voc_xml([("cat", (1, 1, 5, 5))])
    for number, text in enumerate((bomb + good, outer + good.replace("cat", "&x;"),
                                   '<!DOCTYPE b SYSTEM "x.dtd">' + good,
                                   voc_xml([("cat", (1, 1, 5, 5))], name="../../secret.png"))):
        root = voc(folder / str(number), {"a": text, "b": good})
        with pytest.raises(DataError, match=r"document type or entities|leads out of the data") as caught:
            load_data(root, format="voc")
        assert "the secret" not in str(caught.value)
