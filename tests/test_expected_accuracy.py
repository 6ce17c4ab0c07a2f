import warnings

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.expected_accuracy import (
    average_thresholded_confidence,
    difference_of_confidences,
    expected_accuracy,
    nuclear_norm,
    trusted,
)

# N source images, M target images, C classes


def soft(logits):
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


def draw(count, classes, seed, *, apart=2.0, noise=1.0):
    """Labels, and the probabilities of a model that is calibrated where `noise` is 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return labels, soft(apart * (apart * np.eye(classes)[labels] + noise * rng.normal(size=(count, classes))))


def expected(source, labels, target, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return expected_accuracy(source, labels, target, rng=np.random.default_rng(seed))


def accuracy(labels, probabilities):
    return (probabilities.argmax(1) == labels).mean()


@pytest.mark.parametrize("score", ["confidence", "entropy"])
@pytest.mark.parametrize("classes", [2, 5, 200])
@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0, 60.0])
def test_where_nothing_shifts_it_is_exact(score, classes, apart):
    labels, source = draw(150, classes, 0, apart=apart)
    wrong_too = np.where(np.arange(150) % 7 == 0, (labels + 1) % classes, labels)
    for truth in (labels, wrong_too):
        found = average_thresholded_confidence(source, truth, source[::-1], score=score)
        assert found == pytest.approx(accuracy(truth, source))
    assert difference_of_confidences(source, wrong_too, source) == pytest.approx(accuracy(wrong_too, source))


def test_by_hand():
    source = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    target = np.array([[0.95, 0.05], [0.75, 0.25], [0.35, 0.65]])
    # Half of the source is right, and half is surer than 0.7: of the target one image is sure of 0.8 or more.
    labels = np.array([0, 1, 1, 1])
    for score in ("confidence", "entropy"):
        assert average_thresholded_confidence(source, labels, target, score=score) == pytest.approx(1 / 3)
    assert difference_of_confidences(source, labels, target) == pytest.approx(0.5 + (0.95 + 0.75 + 0.65) / 3 - 0.75)


def test_a_model_that_is_always_right_or_never_is_expected_to_stay_so():
    labels, source = draw(40, 3, 0, apart=9)
    assert average_thresholded_confidence(source, labels, source) == 1
    assert average_thresholded_confidence(source, (labels + 1) % 3, source) == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_harder_target_is_foreseen(seed):
    labels, source = draw(2000, 6, seed)
    true, said = draw(2000, 6, seed + 9, apart=1.4)
    found = expected(source, labels, said)
    assert found.accuracy == pytest.approx(accuracy(true, said), abs=0.12)
    assert found.difference_of_confidences == pytest.approx(accuracy(true, said), abs=0.03)
    assert found.accuracy < found.source_accuracy - 0.1
    assert found.trust != "good"


def test_all_estimates_are_those_of_the_functions():
    labels, source = draw(100, 4, 0)
    _, target = draw(60, 4, 1, apart=1)
    found = expected(source, labels, target)
    three = [average_thresholded_confidence(source, labels, target),
             average_thresholded_confidence(source, labels, target, score="entropy"),
             difference_of_confidences(source, labels, target)]
    assert [found.atc_confidence, found.atc_entropy, found.difference_of_confidences] == three
    assert found.accuracy == pytest.approx((three[0] + three[1]) / 4 + three[2] / 2)
    assert found.low <= found.accuracy <= found.high
    assert found.nuclear_norm == pytest.approx(nuclear_norm(target))
    assert found.source_accuracy == accuracy(labels, source)


def test_the_way_back_lowers_the_estimate_its_interval_and_the_trust():
    labels, source = draw(200, 4, 0)
    target = draw(150, 4, 1)[1]
    whole, half = (expected_accuracy(source, labels, target, rng=np.random.default_rng(0), way_back=share)
                   for share in (1.0, 0.5))
    assert (half.accuracy, half.low, half.high) == pytest.approx((whole.accuracy / 2, whole.low / 2, whole.high / 2))
    assert (whole.trust, half.trust, half.way_back) == ("good", "poor", 0.5)
    other = expected_accuracy(source, labels, target, rng=np.random.default_rng(0), way_back=0.5, weighted_way_back=0.9)
    assert (other.accuracy, other.low, other.high) == pytest.approx([0.9 * number for number in (
        whole.accuracy, whole.low, whole.high)])
    assert (other.trust, other.way_back, other.weighted_way_back) == ("poor", 0.5, 0.9)


def test_the_interval_holds_the_truth_about_as_often_as_it_says_where_nothing_shifts():
    held = []
    for seed in range(40):
        labels, source = draw(200, 4, seed)
        _, target = draw(200, 4, seed + 99)
        found = expected(source, labels, target, seed)
        held.append(found.low <= accuracy(*draw(20000, 4, 0)) <= found.high)
    assert np.mean(held) >= 0.85


def test_fewer_images_mean_a_wider_interval():
    labels, source = draw(1000, 4, 0)
    _, target = draw(1000, 4, 1)
    few, many = expected(source[:50], labels[:50], target[:50]), expected(source, labels, target)
    assert few.high - few.low > 2 * (many.high - many.low)


def test_the_nuclear_norm_is_1_for_sure_and_even_answers_and_small_for_equal_ones():
    assert nuclear_norm(np.eye(5)[np.arange(100) % 5]) == pytest.approx(1)
    assert nuclear_norm(np.eye(50)[:4]) == pytest.approx(1)
    assert nuclear_norm(np.eye(4)[np.zeros(64, int)]) == pytest.approx(1 / 2)
    assert nuclear_norm(np.full((64, 4), 0.25)) == pytest.approx(1 / 4)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (9, 9), (1, 5), (5, 1)])
def test_the_nuclear_norm_is_the_sum_of_singular_values(shape):
    rows = np.random.default_rng(0).dirichlet(np.full(shape[1], 0.3), shape[0])
    expected = np.linalg.norm(rows, "nuc") / np.sqrt(min(shape) * shape[0])
    assert nuclear_norm(rows) == pytest.approx(expected)


@pytest.mark.parametrize(("apart", "kept", "trust"), [
    (0.0, 1.0, "good"), (0.05, 0.9, "good"), (0.06, 1.0, "fair"), (0.0, 0.89, "fair"), (0.15, 0.7, "fair"),
    (0.16, 1.0, "poor"), (0.0, 0.69, "poor"), (0.0, 1.2, "good")])
def test_trust_follows_the_rule(apart, kept, trust):
    assert trusted(apart, kept) == trust


def test_answers_that_crowd_on_one_class_are_not_trusted():
    labels, source = draw(300, 5, 0, apart=3)
    assert expected(source, labels, source[::-1]).trust == "good"
    crowded = np.tile(soft(np.array([[9.0, 0, 0, 0, 0]])), (200, 1))
    assert expected(source, labels, crowded).trust == "poor"


@pytest.mark.parametrize("shapes", [(1, 1, 1), (2, 2, 2), (30, 1, 3), (1, 30, 3), (20, 15, 1000), (9, 9, 1)])
def test_few_images_and_many_or_single_classes_are_no_trouble(shapes):
    count, others, classes = shapes
    labels, source = draw(count, classes, 0)
    found = expected(source, labels, draw(others, classes, 1)[1])
    numbers = [number for number in vars(found).values() if isinstance(number, float)]
    assert np.isfinite(numbers).all()
    assert min(numbers) >= 0
    assert max(numbers) <= 1


@pytest.mark.parametrize(("source", "labels", "target", "message"), [
    (np.eye(3), [0, 1], np.eye(3), r"needs one label for each of the 3 source images, got \(2,\)"),
    (np.eye(3), [0, 1, 2], np.eye(4), "target: needs probabilities of at least one image, 3 classes each"),
    (np.eye(3)[:0], [], np.eye(3), "source: needs probabilities of at least one image"),
    (np.eye(3) * 4, [0, 1, 2], np.eye(3), "source: each row must be probabilities with sum 1"),
    (np.eye(3), [0, 1, 2], -np.eye(3), "target: each row must be probabilities"),
])
def test_inputs_that_do_not_fit_are_refused(source, labels, target, message):
    with pytest.raises(DataError, match=message):
        expected(source, np.array(labels), target)
