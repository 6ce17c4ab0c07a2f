import numpy as np
import pytest

from headstart.scores.h_score import HScore
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw, rotation


def test_iris():
    assert HScore()(X, Y) == pytest.approx(1.191899, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, _ = draw(shape, seed)
    assert HScore()(features, labels) == pytest.approx(slow.h_score(features, labels), rel=1e-7)


def test_it_lies_between_0_and_the_number_of_directions_that_can_part_classes():
    for seed in range(5):
        features, labels, _ = draw((80, 3, 6), seed)
        assert 0 <= HScore()(features, labels) <= 3
        assert HScore()(rotation(80)[:, :40], labels) <= 5


def test_with_few_images_any_features_reach_the_bound():
    noise, labels = np.random.default_rng(0).normal(size=(20, 64)), np.arange(20) % 3
    assert HScore()(noise, labels) == pytest.approx(2)


def test_duplicated_features_change_nothing():
    assert HScore()(np.hstack([X, X, X[:, :1]]), Y) == pytest.approx(HScore()(X, Y))
