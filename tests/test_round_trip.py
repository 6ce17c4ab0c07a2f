"""What answers on a target teach of the source."""

import numpy as np
import pytest

from headstart.round_trip import as_answered, returned, taught, way_back

CENTRES = 6.0 * np.eye(3, 8)


def groups(count: int, seed: int, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Three groups, and their labels."""
    labels = np.arange(count) % 3
    return np.random.default_rng(seed).normal(shift, 1, (count, 8)) + CENTRES[labels], labels


def test_a_shift_changes_nothing():
    (points, labels), (others, truth) = groups(60, 0), groups(45, 1)
    found = taught(points, labels, others, classes=3)
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_array_equal(taught(points + 9, labels, others - 4, classes=3), found)


def test_right_answers_lead_the_whole_way_back_and_random_ones_hardly_any():
    (source, labels), (target, truth) = groups(90, 0), groups(60, 1, shift=3)
    assert way_back(source, labels, target, truth, classes=3) == 1
    said = np.random.default_rng(2).integers(0, 3, 60)
    assert way_back(source, labels, target, said, classes=3) < 0.75


@pytest.mark.parametrize("swapped", [0, 1, 2])
def test_a_class_that_is_taken_for_another_costs_its_share(swapped):
    (source, labels), (target, truth) = groups(90, 0), groups(60, 1)
    said = np.where(truth == swapped, (swapped + 1) % 3, truth)
    assert way_back(source, labels, target, said, classes=3) == pytest.approx(2 / 3, abs=0.02)


def test_the_order_of_the_source_means_nothing():
    (source, labels), (target, truth) = groups(90, 0), groups(60, 1)
    said = np.where(truth == 0, 1, truth)
    turns = np.argsort(np.arange(90) % 2 * 3 + labels, kind="stable")  # every other image of one class after the other
    alternating = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)]).reshape(2, 30).T.ravel()
    found = way_back(source, labels, target, said, classes=3)
    assert way_back(source[turns], labels[turns], target, said, classes=3) == pytest.approx(found, abs=0.02)
    assert way_back(source[alternating], labels[alternating], target, said, classes=3) < 0.9


def test_one_answer_for_all_is_worth_its_class():
    (source, labels), (target, _) = groups(90, 0), groups(60, 1)
    assert way_back(source, labels, target, np.ones(60, int), classes=3) == pytest.approx(1 / 3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_no_trouble(count):
    points, labels = groups(count, 0)
    assert 0 <= way_back(points, labels, points, labels, classes=3) <= 1
    assert 0 <= way_back(np.ones((count, 4)), labels, np.ones((count, 4)), labels, classes=3) <= 1


def test_weights_put_the_source_classes_in_the_shares_of_the_answers():
    labels, answers = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([1, 1, 1, 2])
    found = as_answered(labels, answers, classes=3)
    np.testing.assert_allclose(np.bincount(labels, weights=found), [0, 0.75, 0.25])
    assert as_answered(np.zeros(4, int), np.ones(3, int), classes=3) is None


def test_weighed_as_answered_right_answers_lead_the_whole_way_back_from_a_part_of_the_classes():
    (source, labels), (target, truth) = groups(90, 0), groups(90, 1, shift=3)
    some = target[truth < 2], truth[truth < 2]
    assert way_back(source, labels, *some, classes=3) < 0.8
    assert way_back(source, labels, *some, classes=3, weighted=True) == 1
    assert way_back(source, labels, target, truth, classes=3, weighted=True) == pytest.approx(
        way_back(source, labels, target, truth, classes=3))
    swapped = np.array([1, 0, 2])[some[1]]
    assert way_back(source, labels, some[0], swapped, classes=3, weighted=True) < 0.1
    assert way_back(source, np.zeros(90, int), target, np.ones(90, int), classes=3, weighted=True) == 0


def test_equal_weights_change_nothing():
    (source, labels), (target, truth) = groups(90, 0), groups(60, 1, shift=3)
    said = np.where(np.arange(60) % 5 == 0, 0, truth)
    assert returned(source, labels, target, said, classes=3, weights=np.full(90, 1 / 90)) == pytest.approx(
        returned(source, labels, target, said, classes=3))


def test_a_target_with_a_part_of_the_classes_leads_the_whole_way_back_only_where_they_are_weighed():
    (source, labels), (target, truth) = groups(90, 0), groups(90, 1, shift=3)
    some = target[truth < 2], truth[truth < 2]
    assert returned(source, labels, *some, classes=3) < 0.8
    assert returned(source, labels, *some, classes=3, weights=as_answered(labels, some[1], classes=3)) == 1
