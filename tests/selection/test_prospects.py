import numpy as np
import pytest

from headstart.errors import DataError
from headstart.round_trip import way_back
from headstart.selection.mismatch_words import ahead
from headstart.selection.prospects import Answers, mix_explains, probe_answers, prospects

CLASSES = ("a", "b", "c")


def world(counts: tuple[int, ...], *, seed: int, push: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features of three classes in eight dimensions, each around a corner of its own; pushed towards each other."""
    labels = np.repeat(np.arange(3), counts)
    corners = 3 * np.eye(3, 8)
    points = corners[labels] * (1 - push) + np.random.default_rng(seed).normal(size=(len(labels), 8))
    return points.astype(np.float32), labels


def on(target: np.ndarray, *, known: tuple[np.ndarray, np.ndarray] | None = None) -> Answers:
    features, labels = known or world((80, 80, 80), seed=0)
    return probe_answers(features, labels, target, classes=CLASSES, groups=None, seed=0)


def test_label_shift_is_found_on_a_resampled_set():
    target, labels = world((20, 30, 150), seed=1)
    found = prospects(on(target), None, seed=0).shift
    assert found.shifted
    assert found.agree
    assert found.moved == pytest.approx(0.75 - 1 / 3, abs=0.06)
    name, before, now = found.largest()
    assert (name, before) == ("c", pytest.approx(1 / 3))
    assert now == pytest.approx(0.75, abs=0.05)
    assert found.real is None
    shown = prospects(on(target), labels, seed=0).shift
    assert shown.real == (0.1, 0.15, 0.75)
    assert shown.estimates == found.estimates


def test_of_an_odd_number_of_images_none_is_learned_from_and_asked_about():
    features, labels = world((7, 7, 7), seed=0)
    target = world((20, 20, 20), seed=1)[0]
    answers = on(target, known=(features, labels))
    assert answers.way_back == way_back(features, labels, target, answers.target.argmax(axis=1), classes=3)


def test_without_a_shift_none_is_told():
    found = prospects(on(world((60, 60, 60), seed=1)[0]), None, seed=0).shift
    assert not found.shifted
    assert found.agree


def test_the_expected_accuracy_is_near_the_real_one_and_does_not_look_at_labels():
    for push, tolerance in ((0.0, 0.04), (0.4, 0.08)):
        target, labels = world((100, 100, 100), seed=2, push=push)
        found = prospects(on(target), labels, seed=0)
        assert found.expected.accuracy == pytest.approx(found.real, abs=tolerance)
        assert found.expected == prospects(on(target), None, seed=0).expected
        assert found.loss == found.expected.source_accuracy - found.expected.accuracy
    assert found.loss > 0.05


def test_the_source_is_answered_by_fits_that_did_not_see_it():
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(90, 200)).astype(np.float32), np.tile([0, 1, 2], 30)
    answers = on(noise, known=(noise, labels))
    # By heart all would be right; of noise a third is.
    assert prospects(answers, None, seed=0).expected.source_accuracy < 0.55


def test_proportions_are_told_only_where_another_mix_explains_where_the_target_lies():
    target, _ = world((20, 30, 150), seed=1)
    found = prospects(on(target), None, seed=0)
    assert found.shift.explained > 0.9
    assert "stand in other proportions" in ahead(found, "there")[1]
    # Every picture moved towards the third class, and as many of each: the answers crowd there.
    moved, _ = world((70, 70, 70), seed=1)
    beyond = prospects(on(moved + np.float32(4) * np.eye(8, dtype=np.float32)[2] + 3 * np.eye(8)[5]), None, seed=0)
    assert beyond.shift.agree
    assert beyond.shift.shifted
    assert not beyond.shift.told
    assert not beyond.to_json()["label_shift"]["told"]
    assert "can't be told: the classes themselves look different there" in ahead(beyond, "there")[1]


def test_what_another_mix_explains_is_the_closed_form_of_the_means():
    corners = np.array([[0.0, 0.0], [4.0, 0.0]])
    labels = np.repeat([0, 1], 50)
    source = corners[labels]
    half_way = np.tile([[3.0, 1.0]], (40, 1))  # a quarter and three quarters of the corners are at (3, 0)
    assert mix_explains(source, half_way, labels, np.array([0.25, 0.75])) == pytest.approx(
        1 - 1 / (1 + 1 - source.var(axis=0).sum() / 100))
    assert mix_explains(source, source, labels, np.array([0.5, 0.5])) == 1.0


def test_strange_classes_count_in_no_proportion():
    target, labels = world((20, 20, 20), seed=1)
    labels[:20] = -1
    found = prospects(on(target), labels, seed=0)
    assert found.shift.real == (0, 0.5, 0.5)
    assert found.real is not None
    assert prospects(on(target), np.full(60, -1), seed=0).real is None


def test_one_class_expects_nothing():
    features, _ = world((10, 0, 0), seed=0)
    with pytest.raises(DataError, match="show one class only"):
        on(features, known=(features, np.zeros(10, np.int64)))


def test_a_model_that_always_says_the_same_tells_no_proportions():
    same = np.full((30, 3), 1 / 3)
    answers = Answers(same, np.tile([0, 1, 2], 10), same, CLASSES, "a model")
    assert prospects(answers, None, seed=0).shift is None
