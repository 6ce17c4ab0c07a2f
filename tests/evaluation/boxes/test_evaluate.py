"""The whole: metrics with intervals, details that are plain JSON, and two detectors against each other."""

import json
import math

import numpy as np
import pytest

from headstart.errors import ConfigError, DataError
from headstart.evaluation.boxes import choose_detection_thresholds, compare_detections, evaluate_detections
from headstart.evaluation.boxes.tide import tide
from headstart.metrics import names_for
from headstart.metrics.boxes import detection_scorer, match, over_classes, truth_of, truths_of
from headstart.types import Detections, Instance, Sample
from tests.metrics.boxes.cells import CLASSES, cells
from tests.metrics.boxes.slow import said

HERE, THERE = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


@pytest.fixture(scope="module")
def given():
    return cells(images=60)


@pytest.fixture(scope="module")
def evaluation(given):
    return evaluate_detections(given.found, given.truths, CLASSES, resamples=200)


def test_every_metric_of_the_task_is_there_with_its_interval(evaluation):
    found = evaluation.to_json()
    assert set(found) == set(names_for("detection", 3))
    assert all(m["low"] <= m["value"] <= m["high"] for m in found.values() if m["value"] is not None)
    assert evaluation.metrics["ap"].high - evaluation.metrics["ap"].low < 0.2


def test_intervals_are_those_of_really_drawing_the_images(given):
    """Twenty draws, each matched anew; scores are distinct, so that the order among copies is no matter."""
    rng = np.random.default_rng(0)
    score = detection_scorer(match(given.found, given.truths, 3), ["ap", "ar10", "ap_medium"])
    for _ in range(20):
        rows = np.sort(rng.integers(0, 60, 60))
        fast = score(np.bincount(rows, minlength=60)[None].astype(float))
        again = match([given.found[i] for i in rows], [given.truths[i] for i in rows], 3)
        slow = detection_scorer(again, ["ap", "ar10", "ap_medium"])(np.ones((1, 60)))
        for name, values in fast.items():
            assert over_classes(values) == pytest.approx(over_classes(slow[name]), abs=1e-9)


def test_whole_groups_widen_the_interval(given):
    twice = ([*given.found, *given.found], [*given.truths, *given.truths])
    alone = evaluate_detections(*twice, CLASSES, resamples=300).metrics["ap50"]
    paired = evaluate_detections(*twice, CLASSES, groups=[*range(60), *range(60)], resamples=300).metrics["ap50"]
    assert paired.high - paired.low > 1.2 * (alone.high - alone.low)


def test_details_are_plain_json_and_agree_with_each_other(evaluation, given):
    details = json.loads(json.dumps(evaluation.details, allow_nan=False))
    assert set(details["per_class"]) == set(CLASSES)
    assert details["counts"]["objects"] == sum(row["support"] for row in details["per_class"].values())
    assert details["library"]["largest_gap"] < 1e-9
    assert details["tide"]["ap50"] == pytest.approx(evaluation.metrics["ap50"].value)
    mean = np.mean([row["ap50"]["value"] for row in details["per_class"].values()])
    assert mean == pytest.approx(evaluation.metrics["ap50"].value)
    bins = details["reliability"]["bins"]
    total = sum(b["count"] for b in bins)
    gap = sum(b["count"] / total * abs(b["confidence"] - b["accuracy"]) for b in bins if b["count"])
    assert gap == pytest.approx(evaluation.metrics["detection_calibration_error"].value)
    assert len(evaluation.errors) == 60


def test_errors_of_images_are_those_of_what_is_given_at_the_thresholds(evaluation, given):
    kept = [Detections(f.boxes[some], f.scores[some], f.labels[some]) for f in given.found
            for some in [f.scores >= np.array(evaluation.details["thresholds"])[f.labels]]]
    counts, alone = tide(kept, given.truths, match(kept, given.truths, 3))
    for error, other, answer in zip(evaluation.errors, alone, given.found, strict=True):
        assert len(error.kinds) == len(answer.labels)
        assert tuple(kind for kind in error.kinds if kind != "below") == other.kinds
        assert error.objects == other.objects
    total = sum(row["count"] for row in counts["errors"].values())
    assert sum(error.count for error in evaluation.errors) == total


def test_the_same_seed_gives_the_same_numbers(given, evaluation):
    again = evaluate_detections(given.found, given.truths, CLASSES, resamples=200)
    assert again.to_json() == evaluation.to_json()


def test_thresholds_given_are_used_and_those_chosen_here_are_said_to_be(given, evaluation):
    assert evaluation.details["thresholds_chosen"] == "here"
    assert evaluation.details["thresholds"] == list(choose_detection_thresholds(given.found, given.truths, CLASSES))
    other = evaluate_detections(given.found, given.truths, CLASSES, thresholds=(0.9, 0.9, 0.9), resamples=0)
    assert other.details["thresholds_chosen"] == "before"
    assert other.details["f1"] < evaluation.details["f1"]
    assert math.isnan(other.metrics["ap"].low)
    with pytest.raises(ConfigError, match="2 thresholds were given for 3 classes"):
        evaluate_detections(given.found, given.truths, CLASSES, thresholds=(0.9, 0.9))


def test_calibration_of_a_detector_that_knows_its_chances_is_small_and_of_a_boaster_large():
    rng = np.random.default_rng(0)
    scores = rng.random((200, 5))
    hits = rng.random((200, 5)) < scores
    place = [(100.0 * k, 0.0, 100.0 * k + 10, 10.0) for k in range(5)]
    truths = [truth_of([Instance(0, place[k]) for k in range(5) if row[k]]) for row in hits]
    honest = [said(*((*place[k], row[k], 0) for k in range(5))) for row in scores]
    boasting = [Detections(f.boxes, np.ones(5, np.float32), f.labels) for f in honest]
    gaps = [evaluate_detections(f, truths, ["a"], resamples=0).metrics["detection_calibration_error"].value
            for f in (honest, boasting)]
    assert gaps[0] < 0.05
    assert gaps[1] == pytest.approx(1 - hits.mean())


def test_a_split_without_any_object_is_undefined_not_an_error():
    found = evaluate_detections([said(), said((*HERE, 0.5, 0))], [truth_of([])] * 2, ["a", "b"], resamples=50)
    assert found.to_json()["ap"] == {"value": None, "low": None, "high": None}
    assert found.details["undefined"] == ["a", "b"]
    json.dumps(found.details, allow_nan=False)


def test_a_perfect_detector_claims_no_certainty():
    found = [said((*HERE, 0.9, 0)), said((*THERE, 0.9, 0))] * 10
    interval = evaluate_detections(found, [truth_of([Instance(0, HERE)]), truth_of([Instance(0, THERE)])] * 10, ["a"],
                                   resamples=50).metrics["ap"]
    assert (interval.value, interval.high) == (1, 1)
    assert 0.7 < interval.low < 0.95


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="no image to evaluate on"):
        evaluate_detections([], [], ["a"])


def test_images_that_were_never_marked_are_named():
    samples = [Sample("a.jpg", lambda: b"", None, objects=()), Sample("b.jpg", lambda: b"", None)]
    with pytest.raises(DataError, match=r"1 images have no marks at all.*\n  b\.jpg"):
        truths_of(samples)
    assert len(truths_of(samples[:1])[0].labels) == 0


def test_the_better_of_two_detectors_is_told_and_equal_ones_are_not(given):
    worse = [Detections(f.boxes + np.float32(9), f.scores, f.labels) for f in given.found]
    gap = compare_detections(given.found, worse, given.truths, CLASSES, metric="ap50", resamples=200)
    assert gap.verdict == "better"
    assert 0 < gap.low < gap.value < gap.high
    back = compare_detections(worse, given.found, given.truths, CLASSES, metric="ap50", resamples=200)
    assert (back.verdict, back.value, back.probability_a_better) == ("worse", -gap.value, 0)
    same = compare_detections(given.found, given.found, given.truths, CLASSES, resamples=50)
    assert (same.value, same.verdict, same.mcnemar_p) == (0, "no difference shown", None)


def test_a_lower_calibration_error_is_better(given):
    boasting = [Detections(f.boxes, np.ones_like(f.scores), f.labels) for f in given.found]
    gap = compare_detections(given.found, boasting, given.truths, CLASSES, metric="detection_calibration_error",
                             resamples=100)
    assert gap.verdict == "better"
    assert gap.value < 0


def test_a_metric_of_another_task_is_refused(given):
    with pytest.raises(ConfigError, match="accuracy is no metric by which these detectors"):
        compare_detections(given.found, given.found, given.truths, CLASSES, metric="accuracy")
