"""Curves, thresholds and confusion: counted anew at each threshold."""

import numpy as np
import pytest

from headstart.evaluation.boxes import choose_detection_thresholds
from headstart.evaluation.boxes.confusion import confusion
from headstart.evaluation.boxes.decisions import curves, decisions
from headstart.metrics.boxes import match, truth_of
from headstart.types import Detections, Instance
from tests.metrics.boxes.cells import CLASSES, cells
from tests.metrics.boxes.slow import judged, positives, precision_of, said

HERE, THERE, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0), (90.0, 90.0, 99.0, 99.0)


def scene(seed):
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(8):
        corners = rng.integers(0, 40, (4, 2))
        truths.append(truth_of([Instance(int(rng.integers(2)), (*c.astype(float), *c + 20.0)) for c in corners]))
        rows = [(*(c + rng.integers(-6, 7, 2)), *(c + 20), round(0.9 * rng.random(), 1) + 0.005, rng.integers(2))
                for c in corners for _ in range(2)]
        found.append(said(*rows))
    return found, truths


def f1_at(found, truths, label, threshold):
    """Return F1 at IoU 0.5 from the detections that reach the threshold, matched anew."""
    kept = [Detections(f.boxes[f.scores >= threshold], f.scores[f.scores >= threshold],
                       f.labels[f.scores >= threshold]) for f in found]
    rows = [row for f, t in zip(kept, truths, strict=True) for row in judged(f, t, label, 0.5, "all")]
    count = sum(positives(t, label, "all") for t in truths)
    return 2 * sum(right for _, right in rows) / (len(rows) + count)


@pytest.mark.parametrize("seed", range(6))
def test_no_threshold_gives_a_better_f1_than_the_chosen_one(seed):
    found, truths = scene(seed)
    chosen = choose_detection_thresholds(found, truths, ["a", "b"])
    for label, threshold in enumerate(chosen):
        assert 0 < threshold < 1
        best = max(f1_at(found, truths, label, t) for t in [0.001, *np.arange(0.05, 1.1, 0.1)])
        assert f1_at(found, truths, label, threshold) == pytest.approx(best, abs=1e-9)


def test_a_class_that_is_never_found_keeps_one_half():
    assert choose_detection_thresholds([said((*THERE, 0.1, 0))], [truth_of([Instance(0, HERE)])], "ab") == (0.5, 0.5)


def test_a_detector_that_is_always_right_is_asked_for_all_it_says():
    found, truths = [said((*HERE, 0.3, 0), (*THERE, 0.2, 0))], [truth_of([Instance(0, HERE), Instance(0, THERE)])]
    assert choose_detection_thresholds(found, truths, ["a"]) == (pytest.approx(0.1),)


@pytest.mark.parametrize("seed", range(3))
def test_curves_are_those_of_counting_at_each_threshold(seed):
    found, truths = scene(seed)
    told = curves(decisions(match(found, truths, 2)), ["a", "b"])
    for label, name in enumerate("ab"):
        mine = told["per_class"][name]
        slow = [f1_at(found, truths, label, t) for t in told["confidences"]]
        assert mine["f1"] == pytest.approx(slow, abs=1e-4)
        assert np.mean(mine["precision_at_recall"]) == pytest.approx(precision_of(found, truths, label, floor=0.5),
                                                                     abs=1e-4)
    mean = np.mean([told["per_class"][name]["f1"] for name in "ab"], axis=0)
    assert told["overall"]["f1"] == pytest.approx(mean, abs=1e-3)


def test_a_class_without_objects_has_no_curve():
    told = curves(decisions(match([said((*HERE, 0.5, 1))], [truth_of([Instance(0, HERE)])], 2)), ["a", "b"])
    assert told["per_class"]["b"] is None
    assert told["overall"] == told["per_class"]["a"]
    assert curves(decisions(match([said()], [truth_of([])], 1)), ["a"])["overall"] is None


def test_confusion_counts_right_confused_missed_and_made_up():
    truths = [truth_of([Instance(0, HERE), Instance(1, THERE), Instance(0, FAR)]), truth_of([])]
    found = [said((*HERE, 0.9, 0), (*THERE, 0.8, 0)), said((*HERE, 0.7, 1), (*HERE, 0.2, 1))]
    assert confusion(found, truths, (0.5, 0.5)).tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_each_class_has_its_own_threshold_and_one_box_goes_to_one_object():
    truths = [truth_of([Instance(0, HERE)])]
    found = [said((*HERE, 0.4, 0), (*HERE, 0.4, 1), (0, 0, 10, 9, 0.9, 0))]
    assert confusion(found, truths, (0.5, 0.3)).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert confusion(found, truths, (0.3, 0.3)).tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]


def test_boxes_on_ignored_objects_are_not_made_up():
    truths = [truth_of([Instance(0, (0.0, 0.0, 100.0, 100.0), crowd=True), Instance(1, HERE, difficult=True)])]
    assert confusion([said((*HERE, 0.9, 0), (*THERE, 0.9, 1))], truths, (0.5, 0.5)).sum() == 0


def test_confusion_of_real_annotations_counts_every_object_and_every_detection():
    given = cells(seed=4)
    counts = confusion(given.found, given.truths, (0.5, 0.4, 0.3))
    objects = np.bincount(np.concatenate([t.labels for t in given.truths]), minlength=len(CLASSES))
    labels, scores = (np.concatenate([getattr(f, name) for f in given.found]) for name in ("labels", "scores"))
    shown = np.bincount(labels[scores >= np.array([0.5, 0.4, 0.3])[labels]], minlength=len(CLASSES))
    assert counts.sum(1)[:3].tolist() == objects.tolist()
    assert counts.sum(0)[:3].tolist() == shown.tolist()
