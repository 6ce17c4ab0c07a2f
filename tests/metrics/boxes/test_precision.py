"""Average precision and recall: known values, the rules written out slowly, and images that are drawn twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.metrics.boxes import NAMES, Truth, detection_scorer, match, truth_of
from headstart.metrics.boxes.precision import over_classes
from headstart.types import Detections, Instance, Rle
from tests.metrics.boxes.slow import precision_of, said

HERE, THERE = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def score(found, truths, classes, *, weights=None, names=NAMES):
    """Return {name: float [C]}."""
    rows = np.ones((1, len(truths))) if weights is None else np.array([weights], float)
    return {name: values[0] for name, values in detection_scorer(match(found, truths, classes), names)(rows).items()}


def mean(found, truths, classes, name):
    return float(over_classes(score(found, truths, classes)[name]))


def objects(*boxes, label=0, **marks):
    return truth_of([Instance(label, box, **marks) for box in boxes])


def test_two_objects_one_found_behind_a_false_one_is_a_quarter():
    """Precision at the hit is 1/2, reached at 51 of the 101 levels of recall (0 to 0.5)."""
    found = [said((*THERE, 0.9, 0), (*HERE, 0.8, 0))]
    truths = [objects(HERE, (200.0, 200.0, 210.0, 210.0))]
    assert mean(found, truths, 1, "ap50") == pytest.approx(51 / 101 * 0.5, abs=1e-12)
    assert mean(found, truths, 1, "ar100") == pytest.approx(0.5, abs=1e-12)
    assert mean(found, truths, 1, "ar1") == 0


def test_a_perfect_answer_is_one_whatever_the_fit_asked_for():
    found, truths = [said((*HERE, 0.9, 0), (*THERE, 0.3, 1))], [truth_of([Instance(0, HERE), Instance(1, THERE)])]
    assert [mean(found, truths, 2, name) for name in ("ap", "ap50", "ap75", "ar100")] == [1, 1, 1, 1]


def test_a_class_without_objects_is_undefined_and_left_out_of_the_mean():
    found, truths = [said((*HERE, 0.9, 0), (*THERE, 0.8, 1))], [objects(HERE)]
    values = score(found, truths, 3)["ap"]
    assert values[0] == 1
    assert np.isnan(values[1:]).all()
    assert mean(found, truths, 3, "ap") == 1


def test_no_detection_is_zero_and_no_object_is_undefined():
    assert mean([said()], [objects(HERE)], 1, "ap") == 0
    assert mean([said()], [objects(HERE)], 1, "ar100") == 0
    assert np.isnan(mean([said((*HERE, 0.9, 0))], [objects()], 1, "ap"))
    assert np.isnan(mean([said()] * 3, [objects()] * 3, 2, "ap"))
    assert np.isnan(mean([], [], 2, "ap"))


def test_of_equal_scores_the_first_image_comes_first():
    """Right before wrong is 1; the other way round it is 1/2."""
    right, wrong = (said((*HERE, 0.5, 0)), objects(HERE)), (said((*HERE, 0.5, 0)), objects())
    assert mean(*zip(right, wrong, strict=True), 1, "ap50") == 1
    assert mean(*zip(wrong, right, strict=True), 1, "ap50") == 0.5


def test_only_the_hundred_surest_of_a_class_in_an_image_count():
    many = [(*THERE, 0.9, 0)] * 100
    assert mean([said(*many, (*HERE, 0.5, 0))], [objects(HERE)], 1, "ap50") == 0
    assert mean([said(*many[1:], (*HERE, 0.5, 0))], [objects(HERE)], 1, "ap50") == pytest.approx(0.01)


def test_detections_in_a_crowd_are_left_out_however_many():
    truths = [truth_of([Instance(0, HERE), Instance(0, (40.0, 40.0, 90.0, 90.0), crowd=True)])]
    inside = [(*THERE, 0.9, 0), (52.0, 52.0, 60.0, 60.0, 0.8, 0), (60.0, 60.0, 80.0, 80.0, 0.7, 0)]
    assert mean([said(*inside, (*HERE, 0.5, 0))], truths, 1, "ap") == 1


def test_one_detection_of_a_difficult_object_is_left_out_and_a_second_is_false():
    truths = [truth_of([Instance(0, HERE), Instance(0, THERE, difficult=True)])]
    assert mean([said((*THERE, 0.9, 0), (*HERE, 0.5, 0))], truths, 1, "ap50") == 1
    assert mean([said((*THERE, 0.9, 0), (*THERE, 0.8, 0), (*HERE, 0.5, 0))], truths, 1, "ap50") == 0.5
    assert mean([said((*HERE, 0.5, 0))], truths, 1, "ar100") == 1


def test_sizes_are_those_of_the_outline_or_the_mask_where_there_is_one():
    side = (0.0, 0.0, 100.0, 100.0)
    thin = truth_of([Instance(0, side, polygons=((0.0, 0.0, 100.0, 0.0, 0.0, 10.0),)),
                     Instance(0, side, rle=Rle(100, 100, (10, 40, 9950))), Instance(0, side)])
    assert thin.areas.tolist() == [500.0, 40.0, 10000.0]


boxes = st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 60)] * 2).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3])))
marks = st.sampled_from([{}, {}, {}, {"crowd": True}, {"difficult": True}])
scenes = st.lists(st.tuples(
    st.lists(st.builds(lambda b, c, m: Instance(c, b, **m), boxes, st.integers(0, 1), marks), max_size=5),
    st.lists(st.tuples(boxes, st.integers(0, 10), st.integers(0, 1)), max_size=6)), min_size=1, max_size=4)


def arranged(scene):
    truths = [truth_of(some) for some, _ in scene]
    found = [said(*((*box, tenths / 10, label) for box, tenths, label in rows)) for _, rows in scene]
    return found, truths


@settings(max_examples=200, deadline=None)
@given(scenes)
def test_values_are_those_of_the_rules_written_out_slowly(scene):
    found, truths = arranged(scene)
    fast = score(found, truths, 2)
    for label in range(2):
        for name, size in (("ap", "all"), ("ap_small", "small"), ("ap_medium", "medium")):
            slow = np.mean([precision_of(found, truths, label, floor=t, size=size) for t in np.linspace(0.5, 0.95, 10)])
            assert fast[name][label] == pytest.approx(slow, abs=1e-9, nan_ok=True)
        slow = precision_of(found, truths, label, floor=0.75)
        assert fast["ap75"][label] == pytest.approx(slow, abs=1e-9, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(scenes, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weight_of_two_is_the_image_twice(scene, counts):
    found, truths = arranged(scene)
    # Distinct scores: among equal ones the place of the second copy is a matter of taste.
    steps = iter(np.linspace(0.9, 0.1, 100))
    found = [Detections(f.boxes, np.array([next(steps) for _ in f.scores], np.float32), f.labels) for f in found]
    weights = counts[:len(truths)]
    fast = score(found, truths, 2, weights=weights)
    twice = [(f, t) for f, t, n in zip(found, truths, weights, strict=True) for _ in range(n)]
    again = score([f for f, _ in twice], [t for _, t in twice], 2)
    for name in NAMES:
        assert fast[name] == pytest.approx(again[name], abs=1e-9, nan_ok=True)


def test_a_metric_asked_for_alone_is_the_same():
    found, truths = [said((*HERE, 0.9, 0), (*THERE, 0.8, 0), (1, 1, 11, 10, 0.7, 0))], [objects(HERE, THERE)]
    every = score(found, truths, 1)
    for name in NAMES:
        assert score(found, truths, 1, names=[name])[name] == pytest.approx(every[name], nan_ok=True)


@pytest.mark.parametrize(("found", "message"), [
    (said((*HERE, float("nan"), 0)), "a detection is NaN or infinite"),
    (said((0, 0, float("inf"), 1, 0.5, 0)), "a detection is NaN or infinite"),
    (said((10, 0, 0, 10, 0.5, 0)), "a detection ends before it starts"),
    (said((*HERE, 0.5, 1)), r"a detection has a class outside 0\.\.0"),
    (Detections(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(2, np.int64)), "2 labels and 1 num"),
])
def test_detections_that_can_not_be_measured_are_named(found, message):
    with pytest.raises(DataError, match=f"image 1: .*{message}"):
        match([said(), found], [objects(HERE)] * 2, 1)


def test_objects_that_can_not_be_measured_are_named():
    bad = Truth(np.array([[0.0, 0.0, np.nan, 1.0]]), np.zeros(1, np.int64), np.ones(1), np.zeros(1, bool),
                np.zeros(1, bool))
    with pytest.raises(DataError, match="image 0: an object is NaN"):
        match([said()], [bad], 1)


def test_another_number_of_images_is_refused():
    with pytest.raises(DataError, match="detections for 1 images and objects for 2"):
        match([said()], [objects(HERE)] * 2, 1)
