"""Evaluation of masks: intervals of every metric, and comparisons that know which way is better."""

import numpy as np
import pandas as pd
import pytest

from headstart.errors import ConfigError, DataError
from headstart.evaluation.masks import NAMES, Measures, compare_masks, evaluate_masks, measures_in
from headstart.metrics import metric, names_for
from headstart.metrics.boundaries import FIELDS, Boundaries, boundaries_of, together
from headstart.metrics.masks import confusion_of, overlaps_of
from headstart.report import words

CLASSES = ("ground", "flower", "never")


def answered(shift: int, *, count: int = 12) -> tuple[np.ndarray, Boundaries]:
    """What a segmenter gets whose flowers lie so many pixels too low, and which misses the last one."""
    confusions, edges = [], []
    for number in range(count):
        rng = np.random.default_rng(number)
        top, left = rng.integers(4, 20, 2)
        truth = np.zeros((40, 50), np.uint8)
        truth[top:top + 15, left:left + 20] = 1
        found = np.roll(truth, shift + int(rng.integers(0, 2)), 0) * np.uint8(number < count - 1)
        confusions.append(confusion_of(truth, found, 3))
        edges.append(boundaries_of(truth, found, 3))
    return np.stack(confusions), together(edges, 3)


def measures(shift: int) -> Measures:
    confusions, edges = answered(shift)
    return Measures(overlaps_of(confusions), edges)


def test_every_metric_of_the_registry_is_found_with_its_interval_around_it() -> None:
    found = evaluate_masks(*answered(2), CLASSES)
    assert list(found.metrics) == list(NAMES) == names_for("semantic", 3)
    assert all(one.low <= one.value <= one.high for one in found.metrics.values())
    assert all(one.low < one.high for one in found.metrics.values())
    assert all(metric(name).low <= one.low <= one.high <= metric(name).high for name, one in found.metrics.items())


def test_a_perfect_share_has_a_bound_below_and_a_distance_of_nothing_none() -> None:
    truth = np.zeros((5, 30, 30), np.uint8)
    truth[:, 10:20, 10:20] = 1
    edges = together([boundaries_of(each, each, 2) for each in truth], 2)
    found = evaluate_masks(np.stack([confusion_of(each, each, 2) for each in truth]), edges, CLASSES[:2])
    flower = found.details["per_class"]["flower"]
    for one in (found.metrics["boundary_f1"].to_json(), flower["boundary_f1"], flower["boundary_iou"]):
        assert one["value"] == one["high"] == 1
        assert 0.5 < one["low"] < 0.6  # Wilson's for 5 of 5
    assert flower["hd95"] == flower["assd"] == {"value": 0, "low": 0, "high": 0}


def test_a_class_tells_how_often_it_was_missed_and_what_its_distances_rest_on() -> None:
    confusions, edges = answered(2)
    per_class = evaluate_masks(confusions, edges, CLASSES).details["per_class"]
    flower = per_class["flower"]
    assert (flower["missed"], flower["made_up"], flower["distances"]) == (1, 0, 12)
    assert (per_class["ground"]["distances"], per_class["never"]["distances"]) == (11, 0)
    distances = edges.hd95_by_class[:, 1]
    assert flower["hd95"]["value"] == pytest.approx(distances.mean())
    assert distances[-1] == pytest.approx(np.hypot(40, 50))
    assert per_class["never"]["boundary_f1"] == {"value": None, "low": None, "high": None}


def test_an_image_counted_twice_is_that_image_twice() -> None:
    confusions, edges = answered(2)
    rows = np.repeat(np.arange(12), [2, 0, *[1] * 10])
    doubled = evaluate_masks(confusions[rows], Boundaries(*(getattr(edges, name)[rows] for name in FIELDS)), CLASSES,
                             resamples=0)
    weights = np.array([[2.0, 0.0, *[1.0] * 10]])
    weighted = measures(2).scorer()(weights)
    assert {name: one.value for name, one in doubled.metrics.items()} == pytest.approx(
        {name: float(weighted[name][0]) for name in NAMES})


@pytest.mark.parametrize("name", ["miou", "boundary_f1", "boundary_iou", "hd95", "assd"])
def test_the_nearer_answer_is_better_whichever_way_the_metric_points(name: str) -> None:
    near, far = measures(1), measures(5)
    found = compare_masks(near, far, metric=name)
    assert (found.value > 0) == metric(name).higher_is_better
    assert found.low <= found.value <= found.high
    assert (found.verdict, found.probability_a_better) == ("better", 1.0)
    assert compare_masks(far, near, metric=name).verdict == "worse"
    assert words.term(name).higher_is_better == metric(name).higher_is_better


def test_rows_of_a_table_hold_all_that_was_measured() -> None:
    before = measures(3)
    table = pd.DataFrame(before.rows()).to_dict("records")
    after = measures_in(table)  # type: ignore[arg-type]
    assert compare_masks(before, after, metric="assd").value == 0
    assert all(np.array_equal(getattr(before.overlaps, name), getattr(after.overlaps, name))
               for name in ("right", "true", "answered"))
    assert after.boundaries is not None
    assert all(np.array_equal(getattr(before.boundaries, name), getattr(after.boundaries, name), equal_nan=True)
               for name in FIELDS)


def test_a_run_from_before_boundaries_is_compared_by_what_it_has() -> None:
    rows = [{name: value for name, value in row.items() if name not in FIELDS} for row in measures(3).rows()]
    old = measures_in(rows)
    assert compare_masks(old, measures(3)).value == 0
    with pytest.raises(ConfigError, match="hd95: one of the runs was made before boundaries were measured"):
        compare_masks(measures(3), old, metric="hd95")
    with pytest.raises(ConfigError, match="accuracy is no metric of semantic segmentation"):
        compare_masks(old, old, metric="accuracy")


def test_nothing_to_evaluate_on_is_said() -> None:
    confusions, edges = answered(2)
    with pytest.raises(DataError, match="there is no image to evaluate on"):
        evaluate_masks(confusions[:0], together([], 3), CLASSES)
    with pytest.raises(DataError, match="every pixel of the split is ignored"):
        evaluate_masks(confusions * 0, edges, CLASSES)
