"""Kinds of error by TIDE's definitions: one case of each, made by hand, and what mending it brings."""

import pytest

from headstart.evaluation.boxes.tide import KINDS, tide
from headstart.metrics.boxes import match, truth_of
from headstart.types import Instance
from tests.metrics.boxes.slow import said

HERE, THERE = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
SHIFTED = (5.0, 0.0, 15.0, 10.0)
"""IoU with HERE: 50 / 150."""


def told(found, objects, classes=2):
    truths = [truth_of(some) for some in objects]
    return tide(found, truths, match(found, truths, classes))


OBJECT = Instance(0, HERE)


def one(*rows, objects=(OBJECT,)):
    return told([said(*rows)], [objects])


@pytest.mark.parametrize(("row", "kind"), [
    ((*HERE, 0.9, 0), "right"), ((*HERE, 0.9, 1), "classification"), ((*SHIFTED, 0.9, 0), "localisation"),
    ((*SHIFTED, 0.9, 1), "both"), ((*THERE, 0.9, 0), "background"), ((9.5, 0, 19.5, 10, 0.9, 0), "background")])
def test_a_single_detection_is_told_by_its_overlap_and_class(row, kind):
    found, errors = one(row)
    assert errors[0].kinds == (kind,)
    expected = {"right": "found", "classification": "mistaken", "localisation": "mistaken"}.get(kind, "missed")
    assert errors[0].objects == (expected,)
    assert found["errors"]["missed"]["count"] == (expected == "missed")


def test_a_second_detection_of_one_object_is_a_duplicate():
    _, errors = one((*HERE, 0.9, 0), (*HERE, 0.8, 0))
    assert errors[0].kinds == ("right", "duplicate")
    assert errors[0].count == 1


def test_an_image_without_objects_has_background_only_and_one_without_detections_misses_all():
    found, errors = told([said((*HERE, 0.9, 0)), said()], [[], [Instance(0, HERE), Instance(1, THERE)]])
    assert errors[0].kinds == ("background",)
    assert errors[1].objects == ("missed", "missed")
    assert {kind: row["count"] for kind, row in found["errors"].items() if row["count"]} == {"background": 1,
                                                                                            "missed": 2}


def test_mending_a_wrong_class_makes_it_a_hit_of_the_right_one():
    """One class only has objects; its single object is named as the other: AP50 is 0, and 1 when that is mended."""
    found, _ = one((*HERE, 0.9, 1))
    assert found["ap50"] == 0
    assert {kind: row["gain"] for kind, row in found["errors"].items()} == {
        "classification": 1.0, "localisation": 0, "both": 0, "duplicate": 0, "background": 0, "missed": 0}


def test_of_several_boxes_put_right_for_one_object_only_the_surest_counts():
    found, errors = one((*SHIFTED, 0.9, 0), (*SHIFTED, 0.8, 0))
    assert errors[0].kinds == ("localisation", "localisation")
    assert found["errors"]["localisation"] == {"count": 2, "gain": 1.0}


def test_false_ones_above_the_hit_halve_ap_and_mending_them_gives_it_back():
    found, _ = one((*THERE, 0.9, 0), (*HERE, 0.8, 0))
    assert (found["ap50"], found["errors"]["background"]["gain"]) == (0.5, 0.5)
    assert (found["false_positives"], found["false_negatives"]) == (0.5, 0.0)


def test_a_missed_object_costs_the_recall_above_the_others():
    """One of two found: 51 of 101 levels of recall are reached."""
    found, _ = one((*HERE, 0.9, 0), objects=(Instance(0, HERE), Instance(0, THERE)))
    assert found["ap50"] == pytest.approx(51 / 101)
    assert found["errors"]["missed"] == {"count": 1, "gain": pytest.approx(50 / 101)}
    assert found["false_negatives"] == pytest.approx(50 / 101)


def test_a_detector_that_says_nothing_gains_everything_from_what_it_missed():
    found, _ = one()
    assert (found["ap50"], found["errors"]["missed"]["gain"]) == (0.0, 1.0)


def test_ignored_objects_and_what_lies_on_them_are_no_errors():
    _, errors = one((*THERE, 0.9, 0), objects=(Instance(0, THERE, crowd=True),))
    assert (errors[0].kinds, errors[0].objects, errors[0].count) == (("ignored",), ("ignored",), 0)


def test_without_any_object_gains_are_undefined():
    found, _ = told([said((*HERE, 0.9, 0))], [[]])
    assert found["ap50"] is None
    assert all(found["errors"][kind]["gain"] is None for kind in KINDS)
