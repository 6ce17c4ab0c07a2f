import numpy as np
import pytest
from scipy.stats import kstest

from headstart.distances.mmd import MMD
from tests.distances import slow


def measured(first, second, seed=0, **settings):
    return MMD(**settings)(first, second, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("shape", [(20, 12, 3), (6, 15, 40), (2, 2, 2), (2, 9, 1)])
def test_it_equals_the_double_loop(shape):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(shape[0], shape[2])), 1 + rng.normal(size=(shape[1], shape[2]))
    assert measured(first, second).value == pytest.approx(slow.mmd(first, second), abs=1e-12)


@pytest.mark.parametrize("length", [1.0, 2.0])
def test_of_many_images_it_is_that_of_the_gaussians(length):
    rng = np.random.default_rng(1)
    shift = length * np.array([0.6, 0.0, 0.8, 0.0])
    sets = [(rng.normal(size=(400, 4)), rng.normal(size=(400, 4)) + shift) for _ in range(10)]
    true = np.mean([slow.mmd_of_gaussians(shift, slow.median_distance(np.concatenate(pair)[::8])) for pair in sets])
    assert np.mean([measured(*pair, permutations=19).value for pair in sets]) == pytest.approx(true, rel=0.1)


def test_chance_gives_each_p_value_equally_often():
    rng = np.random.default_rng(0)
    found = [measured(rng.normal(size=(20, 3)), rng.normal(size=(30, 3)), seed, permutations=199)
             for seed in range(200)]
    assert kstest([one.p_value for one in found], "uniform").pvalue > 0.01
    assert np.mean([one.value for one in found]) == pytest.approx(0, abs=0.003)


def test_a_shift_is_significant_and_no_p_value_is_0():
    rng = np.random.default_rng(0)
    assert measured(rng.normal(size=(50, 3)), rng.normal(size=(50, 3)) + 2, permutations=99).p_value == 1 / 100


def test_copies_have_the_p_value_1():
    assert measured(np.ones((9, 3)), np.ones((5, 3))).p_value == 1


def test_where_most_images_are_copies_the_others_have_a_scale():
    rows = np.zeros((40, 3))
    rows[:4] = np.eye(4, 3)
    assert measured(rows, rows + 1).value > 0.5


def test_a_spread_without_a_shift_is_found():
    rng = np.random.default_rng(0)
    assert measured(rng.normal(size=(100, 5)), 2 * rng.normal(size=(100, 5))).p_value < 0.01
