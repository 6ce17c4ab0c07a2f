import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data.boxes import mend_box, mended
from headstart.data.check import check
from headstart.data.dataset import Dataset
from headstart.data.findings import CheckReport, Finding, enforce
from headstart.data.fingerprint import fingerprint
from headstart.data.sheet import draw_sheet
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from headstart.gate import admit
from headstart.job import Job
from headstart.types import Box, Instance, Sample
from tests.data.planted import picture
from tests.shared_data import shared


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HEADSTART_CACHE", str(tmp_path / "cache"))


def marked(folder: Path, boxes: list[list[Box]], *, size: tuple[int, int] = (96, 72), **changes: object) -> Dataset:
    """Pictures of this width and height, each with these boxes of the class cat, or dog from the second on."""
    samples = []
    for number, found in enumerate(boxes):
        path = folder / f"{number}.png"
        picture(number, size=size).save(path)
        objects = tuple(Instance(min(place, 1), box) for place, box in enumerate(found))
        samples.append(Sample(path.name, path, tuple(sorted({o.label for o in objects})), objects=objects,
                              annotated=(size[1], size[0]), where=f"{number}.xml", **changes))  # type: ignore[arg-type]
    return Dataset(tuple(samples), ("cat", "dog"), "detection", "voc", folder)


def finding(report: CheckReport, kind: str) -> Finding:
    found = report.finding(kind)
    assert found is not None, kind
    return found


SOUND: Box = (10, 10, 40, 40)


@pytest.mark.parametrize(("box", "left", "fault"), [
    ((10, 10, 40, 40), (10, 10, 40, 40), ""), ((-20, 10, 40, 40), (0, 10, 40, 40), "clipped"),
    ((90, 60, 200, 90), None, "outside"), ((100, 10, 140, 40), None, "outside"), ((40, 10, 10, 40), None, "swapped"),
    ((10, 10, 10, 40), None, "degenerate"), ((10, 10, 10.5, 40), None, "degenerate"),
    ((9, 9, 10, 10), None, "degenerate"),
    ((9, 9, 10, 30), (9, 9, 10, 30), ""), ((math.nan, 1, 2, 3), None, "degenerate"),
    ((0, 0, 96.2, 72.3), (0, 0, 96, 72), "")])
def test_a_box_is_clipped_or_dropped(box: Box, left: Box | None, fault: str) -> None:
    assert mend_box(box, (72, 96)) == (left, fault)


EDGE = st.floats(-300, 300)


@given(st.tuples(EDGE, EDGE, EDGE, EDGE))
def test_what_is_left_lies_inside_both_the_picture_and_the_box(box: Box) -> None:
    left, _ = mend_box(box, (72, 96))
    if left is not None:
        assert 0 <= left[0] < left[2] <= 96
        assert 0 <= left[1] < left[3] <= 72
        assert left[0] >= box[0]
        assert left[3] <= box[3]
        assert mend_box(left, (72, 96)) == (left, "")


def test_mended_data_say_what_was_done_and_keep_the_rest(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, (-20, 10, 40, 40)], [(5, 5, 5, 9)], [SOUND]])
    left = mended(data, {"0.png": (72, 96), "1.png": (72, 96)})
    assert [s.objects and [o.box for o in s.objects] for s in left.samples] == [
        [SOUND, (0, 10, 40, 40)], (), [SOUND]]
    assert left.samples[1].label == ()
    assert left.samples[2] is data.samples[2]
    assert left.notes == ("1 boxes reached out of their image and are clipped to it",
                          "1 boxes left out: a side of less than a pixel, or a single pixel")


def test_sound_boxes_are_ok(tmp_path: Path) -> None:
    report = check(marked(tmp_path, [[SOUND, (1, 1, 30, 30)]] * 4), listen=silent, quick=True)
    assert [f.kind for f in report.findings if f.level != "ok"] == ["class_few"]
    assert "sizes" not in report.to_json()
    assert report.sizes["0.png"] == (72, 96)


def test_faulty_boxes_are_told_one_by_one(tmp_path: Path) -> None:
    boxes = [[SOUND, SOUND]] * 30 + [[SOUND, (-20, 10, 40, 40), (60, 60, 50, 70), (5, 5, 5, 9), (1, 1, 2, 60),
                                      (5, 5, 9, 9), (50, 50, 60, 60), (50, 50, 60, 60)]]
    report = check(marked(tmp_path, boxes), listen=silent, quick=True, input_size=96)
    assert finding(report, "box_outside").items == ("30.xml: dog (-20, 10, 40, 40)",)
    assert finding(report, "box_swapped").items == ("30.xml: dog (60, 60, 50, 70)",)
    assert finding(report, "box_degenerate").items == ("30.xml: dog (5, 5, 5, 9)",)
    assert finding(report, "box_aspect").items == ("30.xml: dog (1, 1, 2, 60)",)
    assert finding(report, "box_duplicated").items == ("30.xml: dog (50, 50, 60, 60)",)
    assert finding(report, "box_small").items == ("30.xml: dog (1, 1, 2, 60): 1.0 pixels",
                                                  "30.xml: dog (5, 5, 9, 9): 4.0 pixels")
    assert report.refusals() == []


def test_what_slices_do_not_shrink_is_not_too_small(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, (5, 5, 15, 15)]] * 4)
    for size, count in ((None, 4), (40, 0)):
        found = finding(check(data, listen=silent, quick=True, input_size=48, slice_size=size), "box_small")
        assert found.count == count


def test_many_boxes_outside_are_refused_with_the_likely_reason(tmp_path: Path) -> None:
    report = check(marked(tmp_path, [[SOUND], [(80, 50, 150, 90)]]), listen=silent, quick=True)
    with pytest.raises(DataError, match=r"box_outside: 1 of 2 boxes reach out .*\n.*\n  .*xyxy vs xywh\?"):
        enforce(report)
    enforce(report, allow=["box_outside", "class_missing"])


def test_a_wrong_size_and_a_turned_picture_are_told_apart(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, SOUND]] * 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(9).save(tmp_path / "1.jpg", exif=exif)
    samples = (replace(data.samples[0], annotated=(100, 100)), replace(data.samples[1], source=tmp_path / "1.jpg"),
               data.samples[2])
    report = check(replace(data, samples=samples), listen=silent, quick=True)
    assert finding(report, "image_size").items == ("0.xml: says 100x100, 0.png has 96x72",)
    turned = finding(report, "image_turned")
    assert turned.level == "error"
    assert turned.items == ("1.xml: says 96x72, 1.png is 72x96 upright (EXIF orientation 6)",)


def test_images_without_objects_are_counted_and_all_empty_refused(tmp_path: Path) -> None:
    report = check(marked(tmp_path, [[SOUND, SOUND], []]), listen=silent, quick=True)
    assert (finding(report, "images_empty").level, finding(report, "images_empty").items) == ("ok", ("1.png",))
    report = check(marked(tmp_path, [[(5, 5, 5, 5)], []]), listen=silent, quick=True)
    assert finding(report, "images_empty").level == "error"


def test_balance_counts_objects_and_images(tmp_path: Path) -> None:
    boxes: list[Box] = [SOUND, *((20, 20, 60, 60 + n) for n in range(11))]
    report = check(marked(tmp_path, [boxes] * 2), listen=silent, quick=True)
    assert finding(report, "object_balance").items == ("cat: 2 objects in 2 images", "dog: 22 objects in 2 images")
    assert (finding(report, "object_balance").level, finding(report, "class_balance").level) == ("warning", "ok")


def test_an_unknown_class_is_an_error(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, SOUND]] * 2)
    odd = replace(data.samples[0], objects=(Instance(7, SOUND),), label=(0,))
    report = check(replace(data, samples=(odd, data.samples[1])), listen=silent, quick=True)
    assert finding(report, "class_unknown").items == ("0.xml: class index 7",)


def test_the_fingerprint_knows_the_boxes(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, SOUND]] * 2)
    moved = replace(data.samples[0], objects=(Instance(0, (10, 10, 40, 41)), Instance(1, SOUND)))
    assert fingerprint(data) != fingerprint(replace(data, samples=(moved, data.samples[1])))


def test_the_sheet_shows_boxes_and_is_the_same_each_time(tmp_path: Path) -> None:
    data = marked(tmp_path, [[SOUND, (60, 60, 50, 70)], [], [SOUND], [SOUND, SOUND]])
    assert draw_sheet(data, tmp_path / "sheet.png").endswith("sheet.png: 4 of 4 images with their objects")
    first = (tmp_path / "sheet.png").read_bytes()
    draw_sheet(data, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == first
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 4 * 328
        assert (208, 32, 208) in {colour for _, colour in sheet.getcolors(1 << 24) or ()}  # the class cat
    with pytest.raises(ConfigError, match=r"a sheet is a \.png or \.jpg file"):
        draw_sheet(data, tmp_path / "sheet.gif")
    with pytest.raises(DataError, match="data for classification have no marks"):
        draw_sheet(replace(data, task="classification"), tmp_path / "sheet.png")


def test_the_faults_of_the_blood_cells_are_found() -> None:
    report = check(load_bccd(), listen=silent, quick=True)
    assert finding(report, "box_degenerate").items == ("Annotations/BloodImage_00338.xml: RBC (503, 336, 504, 337)",
                                                       "Annotations/BloodImage_00343.xml: RBC (180, 328, 181, 329)")
    assert report.refusals() == []


def load_bccd() -> Dataset:
    from headstart.data.load import load_data

    return load_data(shared("bccd"))


def test_the_gate_lets_mended_boxes_in_and_tells(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    rows = [f"{number}.png,cat,10,10,40,40" for number in range(30)] + ["0.png,cat,90,10,140,40", "1.png,cat,5,5,5,5"]
    marked(tmp_path, [[SOUND]] * 30)
    path.write_text("image,label,xmin,ymin,xmax,ymax\n" + "\n".join(rows) + "\n")
    told: list[object] = []
    data, findings = admit(Job(data=str(path)), None, told.append)
    assert sum(len(sample.objects or ()) for sample in data.samples) == 31
    assert data.samples[0].objects[1].box == (90, 10, 96, 40)  # type: ignore[index]
    assert any("1 boxes left out: a side of less than a pixel" in str(event) for event in told)
    warned = {finding["kind"] for finding in findings if finding["level"] == "warning"}
    assert warned == {"box_outside", "box_degenerate"}
