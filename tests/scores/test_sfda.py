import numpy as np
import pytest

from headstart.scores.sfda import SFDA
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw


def test_iris():
    assert SFDA()(X, Y) == pytest.approx(0.876493, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, _ = draw(shape, seed)
    assert SFDA()(features, labels) == pytest.approx(slow.sfda(features, labels), rel=1e-6)


@pytest.mark.parametrize("scale", [0.01, 0.3, 3.0])
def test_the_shrinkage_follows_the_spread(scale):
    assert SFDA()(scale * X, Y) == pytest.approx(slow.sfda(scale * X, Y), rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_few_images_with_hardly_any_shrinkage_are_no_trouble(scale):
    features, labels, _ = draw((30, 400, 4), 0)
    assert 0.9 < SFDA()(scale * features, labels) <= 1


def test_classes_that_are_points_are_told_for_sure_and_classes_that_are_alike_not_at_all():
    assert SFDA()(np.eye(6), np.arange(6) % 6) == pytest.approx(1)
    assert SFDA()(np.repeat(np.eye(3), 4, axis=0), np.repeat(np.arange(3), 4)) == pytest.approx(1)
    assert SFDA()(np.full((9, 5), 0.1), np.arange(9) % 3) == pytest.approx(1 / 3)
    assert SFDA()(np.vstack([X, X]), np.repeat([0, 1], 150)) == pytest.approx(1 / 2)


def test_with_fewer_images_than_features_even_noise_is_parted():
    noise = np.random.default_rng(0).normal(size=(100, 1280))
    assert SFDA()(noise, np.arange(100) % 4) > 0.99
