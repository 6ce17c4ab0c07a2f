import numpy as np
import pytest

from headstart.distances.frechet import Frechet, covariances_apart
from tests.distances import slow

SHAPES = {"many": (200, 90, 6), "few": (12, 20, 40), "one of each": (8, 60, 20)}


def draw(shape, seed=0):
    rng = np.random.default_rng(seed)
    count, other, width = shape
    mix = rng.normal(size=(width, width)) / np.sqrt(width)
    return rng.normal(size=(count, width)), rng.normal(size=(other, width)) @ mix + 0.4


def value(first, second, seed=0, **settings):
    return Frechet(**settings)(first, second, rng=np.random.default_rng(seed)).value


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_of_given_samples_it_equals_the_formula_with_the_root_of_a_matrix(shape):
    first, second = draw(shape)
    means = ((first.mean(0) - second.mean(0))**2).sum()
    assert means + covariances_apart(first, second) == pytest.approx(slow.frechet(first, second), rel=1e-6, abs=1e-6)


def test_in_one_dimension_it_is_the_difference_of_means_and_of_deviations():
    first, second = draw((50, 70, 1))
    assert covariances_apart(first, second) == pytest.approx((first.std(ddof=1) - second.std(ddof=1))**2)


@pytest.mark.parametrize("seed", range(3))
def test_of_many_images_it_is_the_distance_of_the_gaussians(seed):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(5, 5))
    first, second = rng.normal(size=(2000, 5)), rng.normal(size=(2000, 5)) @ mix + 0.5
    true = slow.gaussians_apart(np.zeros(5), np.eye(5), np.full(5, 0.5), mix.T @ mix)
    assert value(first, second) == pytest.approx(true, rel=0.07)


@pytest.mark.parametrize(("count", "width"), [(120, 40), (80, 40), (60, 100), (1000, 200)])
def test_few_images_do_not_lift_it(count, width):
    rng = np.random.default_rng(0)
    scale = np.linspace(0.2, 2, width)
    raw, found = [], []
    for seed in range(5):
        first, second = (rng.normal(size=(count, width)) * scale for _ in range(2))
        raw.append(slow.frechet(first, second))
        found.append(value(first, second, seed))
    assert abs(np.mean(found)) < 0.12 * np.mean(raw)


@pytest.mark.parametrize("count", [300, 90])
def test_a_true_distance_is_still_seen_through_few_images(count):
    rng = np.random.default_rng(0)
    scale = np.linspace(0.2, 2, 60)
    found = [value(rng.normal(size=(count, 60)) * scale, rng.normal(size=(count, 60)) * scale * 1.5 + 0.5, seed)
             for seed in range(5)]
    true = 60 * 0.25 + (0.25 * scale**2).sum()
    assert 0.75 * true < np.mean(found) < 1.1 * true


def test_of_three_images_the_means_alone_are_compared_without_their_noise():
    first, second = draw((3, 8, 5))
    noise = np.trace(np.cov(first.T)) / 3 + np.trace(np.cov(second.T)) / 8
    assert value(first, second) == pytest.approx(((first.mean(0) - second.mean(0))**2).sum() - noise)
