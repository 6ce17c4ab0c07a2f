"""Which labels probabilities speak against: cases small enough to count by hand."""

import numpy as np
import pytest

from headstart.selection.confident import doubt


def test_the_one_label_that_the_probabilities_contradict_is_the_one_issue():
    labels = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1])  # the third image is labelled 0 and looks like 1
    found = doubt(labels, np.stack([first, 1 - first], axis=1))
    assert found.issues.tolist() == [False, False, True, False, False, False]
    # (2 p given - p of the best other + 1) / 3
    assert found.quality == pytest.approx([0.9, 0.9, 0.1, 0.9, 0.9, 0.9])
    # Thresholds: class 0 (0.9 + 0.9 + 0.1) / 3, class 1 0.9; every image is above one of them.
    assert found.joint.tolist() == [[2, 1], [0, 3]]


def test_the_joint_is_scaled_to_the_counts_of_the_given_labels():
    labels = np.array([0, 0, 0, 0, 1, 1])
    first = np.array([0.95, 0.9, 0.5, 0.1, 0.05, 0.05])  # the third image is above no threshold
    found = doubt(labels, np.stack([first, 1 - first], axis=1))
    assert found.joint.sum(axis=1).tolist() == [4, 2]


def test_each_of_several_labels_is_judged_on_its_own():
    labels = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [1, 1], [0, 0]], np.float32)
    probabilities = np.where(labels > 0, 0.9, 0.1)
    probabilities[5, 1] = 0.95  # the second label is missing
    found = doubt(labels, probabilities)
    assert np.argwhere(found.issues).tolist() == [[5, 1]]
    assert np.unravel_index(found.quality.argmin(), labels.shape) == (5, 1)
    assert found.joint.shape == (2, 2, 2)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_all_images_or_none_have_is_not_doubted(value):
    labels = np.array([[value, 0], [value, 1], [value, 0], [value, 1]], np.float32)
    found = doubt(labels, np.full((4, 2), 0.5))
    assert not found.issues[:, 0].any()
    assert found.joint[0].sum() == 4


def test_a_class_without_an_image_is_no_obstacle():
    labels = np.array([0, 0, 0, 2, 2, 2])
    probabilities = np.full((6, 3), 0.05)
    probabilities[np.arange(6), [0, 0, 2, 2, 2, 2]] = 0.9
    assert doubt(labels, probabilities).issues.tolist() == [False, False, True, False, False, False]


def test_quality_weighs_the_probability_of_the_label_and_its_margin():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]])
    expected = [(2 * 0.5 - 0.3 + 1) / 3, (2 * 0.1 - 0.8 + 1) / 3, 1.0]
    assert doubt(np.array([0, 2, 2]), probabilities).quality == pytest.approx(expected)
