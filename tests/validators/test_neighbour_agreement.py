"""Whether alike images get one label, beyond chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.neighbours import QUERIES
from headstart.validators.neighbour_agreement import NeighbourAgreement
from tests.validators.cases import but, evidence


def seen(features, labels, classes=None):
    return but(evidence(), target_features=features, target_logits=np.eye(classes or max(labels) + 1)[labels])


def slow(features, labels, neighbours):
    """The share of each image's nearest that get its label, and what the shares of the labels would give."""
    centred, agreed, pairs = features - features.mean(axis=0), 0, 0
    unit = [row / np.linalg.norm(row) for row in centred]
    for image, row in enumerate(unit):
        others = sorted((other for other in range(len(unit)) if other != image), key=lambda other: -(row @ unit[other]))
        agreed += sum(labels[other] == labels[image] for other in others[:neighbours])
        pairs += len(others[:neighbours])
    chance = sum((list(labels).count(label) / len(labels)) ** 2 for label in set(labels))
    return (agreed / pairs - chance) / (1 - chance)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 25), st.integers(2, 4), st.integers(1, 12))
def test_it_is_the_agreement_of_each_image_with_its_nearest_less_that_of_chance(seed, images, classes, neighbours):
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(3, 1, (images, 5)), rng.integers(0, classes, images)
    labels[:2] = [0, 1]
    found = NeighbourAgreement(neighbours=neighbours)(seen(features, labels, classes))
    assert found == pytest.approx(slow(features, labels, neighbours), abs=1e-9)
    assert found <= 1


def test_blocks_of_queries_do_not_change_it():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(QUERIES + 30, 4)), rng.integers(0, 3, QUERIES + 30)
    assert NeighbourAgreement()(seen(features, labels)) == pytest.approx(slow(features, labels, 10), abs=1e-9)


def groups(count=60, apart=8.0):
    truth = np.arange(count) % 3
    return np.random.default_rng(0).normal(size=(count, 3)) + apart * np.eye(3)[truth], truth


def test_lines_through_the_gaps_between_groups_agree_wholly():
    features, truth = groups()
    assert NeighbourAgreement()(seen(features, truth)) == 1


def test_lines_through_the_groups_agree_no_more_than_chance():
    features, _ = groups()
    said = np.random.default_rng(1).integers(0, 3, 60)
    assert abs(NeighbourAgreement()(seen(features, said))) < 0.15


def test_one_label_for_all_is_no_line_at_all():
    features, _ = groups()
    assert NeighbourAgreement()(seen(features, np.zeros(60, int), classes=3)) == 0


def test_nearly_one_label_for_all_is_worth_less_than_the_right_ones():
    features, truth = groups()
    said = np.where(np.arange(60) == 7, 1, 0)
    assert NeighbourAgreement()(seen(features, said)) < 0.1 < NeighbourAgreement()(seen(features, truth))


def test_it_can_be_worse_than_chance():
    """Two images that are each other's only neighbours get two labels: agreement 0, by chance 1/2."""
    assert NeighbourAgreement()(seen(np.array([[1.0, 0], [0, 1.0]]), np.array([0, 1]))) == -1


def test_it_does_not_ask_how_sure_the_model_is():
    features, truth = groups()
    given = seen(features, truth)
    unsure = but(given, target_logits=given.target_logits * 1e-3)
    assert NeighbourAgreement()(unsure) == NeighbourAgreement()(given)


@pytest.mark.parametrize("images", [0, 1])
def test_of_no_two_images_it_says_nothing(images):
    assert NeighbourAgreement()(but(evidence(), target_features=np.ones((images, 3)),
                                    target_logits=np.ones((images, 2)))) == 0
