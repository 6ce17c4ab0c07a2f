import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf as published

from headstart.scores.regularized_h_score import RegularizedHScore, ledoit_wolf
from headstart.scores.spectrum import spectrum
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw


def test_iris():
    assert RegularizedHScore()(X, Y) == pytest.approx(1.177842, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, _ = draw(shape, seed)
    expected = slow.regularized_h_score(features, labels)
    assert RegularizedHScore()(features, labels) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_shrinkage_is_that_of_scikit_learn(shape):
    features = draw(shape, 0)[0]
    found = spectrum(features, centred=True)
    shrinkage = ledoit_wolf(features, found.mean, found.values**2 / len(features))
    assert shrinkage == pytest.approx(published(features)[1], abs=1e-9)


def test_with_few_images_noise_stays_far_from_the_bound():
    noise, labels = np.random.default_rng(0).normal(size=(20, 64)), np.arange(20) % 3
    assert RegularizedHScore()(noise, labels) < 0.5


def test_classes_that_are_points_reach_the_bound_and_that_is_above_the_number_of_directions():
    assert RegularizedHScore()(np.array([[0.0], [1.0]] * 3), np.array([0, 1] * 3)) == pytest.approx(6 / 5)
