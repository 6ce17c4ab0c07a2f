"""The page of a detector: sound, self-contained, and showing the numbers of the files."""

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from headstart.errors import IntegrityError
from headstart.files import write_json
from headstart.report.detection_curves import class_curves, precision_recall
from headstart.report.detection_errors import error_bars
from headstart.report.detection_records import BoxDetails, Tide
from headstart.report.mistakes import open_picture
from headstart.report.overlays import worst_overlays
from headstart.report.page import write_report
from headstart.report.reading import read as read_run
from tests.report.conftest import read
from tests.report.detector import CLASSES, write_detector_run
from tests.report.test_page import Page


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_detector_run(tmp_path_factory.mktemp("detector") / "run")


@pytest.fixture(scope="module")
def page(run):
    return Page(run / "report.html")


def test_the_page_is_sound_and_loads_nothing(run, page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    named = [reference for _, attrs in page.tags for reference in attrs.get("aria-labelledby", "").split()]
    assert set(named) <= set(page.ids)
    loading = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "srcset", "data") if name in attrs]
    assert loading
    assert all(address.startswith("data:image/") for address in loading)
    text = (run / "report.html").read_text()
    assert "://" not in text
    assert text.count("<script") == 0
    assert (run / "report.html").stat().st_size < 1_500_000


def test_every_section_of_a_detector_is_there_and_none_of_a_classifier(page):
    assert {"summary", "metrics", "errors", "overlays", "classes", "curves", "confusion",
            "reliability"} <= set(page.ids)
    assert not page.has("mistakes")
    assert "average precision of boxes is" in page.text
    assert "moves the accuracy" not in page.text


def test_every_value_is_the_one_in_the_files(run, page):
    metrics = read(run / "metrics.json")["test"].values()
    assert {str(m["value"]) for m in metrics} - {"None"} <= page.values
    details = read(run / "details.json")["test"]
    rows = details["per_class"].values()
    wanted = {str(row[name]) for row in rows for name in ("ap", "ap75", "threshold", "precision", "recall", "f1")}
    assert wanted - {"None"} <= page.values
    assert {str(row["ap50"]["value"]) for row in rows} - {"None"} <= page.values
    assert {str(row["gain"]) for row in details["tide"]["errors"].values()} <= page.values


def test_the_confusion_matrix_has_background_and_no_cell_for_nothing_taken_for_nothing(run, page):
    matrix = read(run / "details.json")["test"]["confusion"]
    names = [*CLASSES, "background"]
    cells = [attrs["title"] for tag, attrs in page.tags if tag == "td" and "--share" in attrs.get("style", "")]
    assert cells == [f"true {names[row]}, said {names[column]}: {n} of {sum(counts)}"
                     for row, counts in enumerate(matrix) for column, n in enumerate(counts)
                     if (row, column) != (3, 3)]


def test_the_worst_pictures_come_first_with_their_boxes(run):
    table = pd.read_parquet(run / "predictions.parquet")
    found, wrong = worst_overlays(table, CLASSES, root=None, pictures=open_picture)
    errors = [sum(k not in ("right", "below", "ignored") for k in row.kinds) + list(row.true_states).count("missed")
              for row in table.itertuples()]
    assert [overlay.errors for overlay in found] == sorted(errors, reverse=True)[:12]
    assert wrong == sum(count > 0 for count in errors)
    first = table.set_index("id").loc[found[0].id]
    tree = ElementTree.fromstring(found[0].figure)
    boxes = [item for item in tree.iter("rect") if item.get("class").startswith("box")]
    assert len(boxes) == len(first["true_boxes"]) + sum(kind != "below" for kind in first["kinds"])
    left, top, _, bottom = first["true_boxes"][0]
    scale = 320 / 420
    assert float(boxes[0].get("x")) == pytest.approx(left * scale, abs=0.02)
    assert float(boxes[0].get("height")) == pytest.approx((bottom - top) * scale, abs=0.2)
    assert tree.find("desc").text == found[0].told
    assert re.fullmatch(r"(\d+ [a-z ]+ \S+(, )?)+", found[0].told)


def test_a_picture_that_is_gone_has_a_placeholder_that_says_so(run):
    text = write_report(run, images=lambda path: None).read_text()
    write_report(run)
    assert "can't be opened any more" in text
    assert "<image" not in text


def test_the_chosen_threshold_is_marked_in_the_curves(run):
    details = BoxDetails(**read(run / "details.json")["test"])
    figures, more = class_curves(details)
    assert (len(figures), more) == (2, 0)  # the third class has no objects
    assert "chosen 0.40" in figures[0]
    assert f"precision {details.per_class[CLASSES[0]].precision:.3f}" in figures[0]
    for figure in [*figures, precision_recall(details.curves)]:
        ElementTree.fromstring(figure)


def test_bars_of_errors_are_as_long_as_the_gain():
    kinds = ("classification", "localisation", "both", "duplicate", "background", "missed")
    tide = {"ap50": 0.5, "errors": {kind: {"count": 3, "gain": 0.1 * n} for n, kind in enumerate(kinds)}}
    tree = ElementTree.fromstring(error_bars(Tide(**tide)))
    widths = [float(bar.get("width")) for bar in tree.iter("rect")]
    assert widths[2:] == pytest.approx([widths[1] * n for n in (2, 3, 4, 5)], abs=0.1)
    undefined = {"ap50": None, "errors": {kind: {"count": 0, "gain": None} for kind in kinds}}
    assert error_bars(Tide(**undefined)) == ""


@pytest.mark.parametrize(("change", "message"), [
    ({"confusion": [[1, 2], [3, 4]]}, r"details\.json.*not 4 x 4"),
    ({"thresholds": [0.5]}, r"details\.json.*other classes than data\.json"),
    ({"curves": {"recalls": [0.0], "confidences": [0.0], "overall": {
        "precision_at_recall": [], "precision": [0.0], "recall": [0.0], "f1": [0.0]}}}, "another number of points")])
def test_files_that_contradict_each_other_are_refused(run, tmp_path, change, message):
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    details = read(run / "details.json")
    write_json(tmp_path / "details.json", {"test": details["test"] | change})
    with pytest.raises(IntegrityError, match=message):
        read_run(tmp_path)


def test_boxes_without_a_label_are_refused(run, tmp_path):
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = pd.read_parquet(run / "predictions.parquet")
    table["labels"] = [list(labels)[1:] for labels in table["labels"]]
    table.to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(IntegrityError, match=r"predictions\.parquet.*000\.png: lists of different lengths"):
        read_run(tmp_path)


@pytest.mark.parametrize("absent", [("details.json",), ("predictions.parquet",),
                                    ("details.json", "predictions.parquet")])
def test_details_and_predictions_may_be_absent(run, tmp_path, absent):
    for path in run.iterdir():
        if path.name not in absent:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    page = Page(write_report(tmp_path))
    assert page.open == []
    assert not {"overlays", "mistakes"} & set(page.ids)
