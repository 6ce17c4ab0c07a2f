import numpy as np
import pytest

from headstart.distances.proxy_a import ProxyA
from tests.distances import slow


def sets(count, width, shift, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)), rng.normal(size=(count, width)) + shift


def measured(first, second, seed=0, **settings):
    return ProxyA(**settings)(first, second, rng=np.random.default_rng(seed))


def test_sets_that_never_mix_are_2_apart():
    found = measured(*sets(100, 5, 10.0))
    assert (found.value, found.high) == (2, 2)
    assert found.low > 1.9


def test_samples_of_one_population_are_0_apart_on_average_and_the_interval_holds_0():
    found = [measured(*sets(100, 5, 0.0, seed), seed) for seed in range(12)]
    assert np.mean([one.value for one in found]) == pytest.approx(0, abs=0.12)
    assert sum(one.low <= 0 <= one.high for one in found) >= 10


@pytest.mark.parametrize("count", [2, 3, 6, 7, 9, 13])
def test_a_classifier_that_only_guesses_is_wrong_half_the_time(count):
    assert measured(np.zeros((count, 3)), np.zeros((count + 4, 3))).value == pytest.approx(0, abs=1e-12)


def test_it_is_twice_what_the_best_linear_classifier_gains_over_guessing():
    # Along the shift the sets are N(0, 1) and N(1.6, 1), of which the best threshold gets 21.2% wrong.
    found = measured(*sets(1500, 1, 1.6))
    assert found.value == pytest.approx(2 * (1 - 2 * 0.2119), abs=0.07)
    assert found.low <= 2 * (1 - 2 * 0.2119) <= found.high


def test_it_agrees_with_scikit_learn():
    first, second = sets(300, 8, 0.3)
    assert measured(first, second).value == pytest.approx(2 * (1 - 2 * slow.domain_error(first, second, 0.1)), abs=0.15)


def test_a_shift_along_one_of_more_features_than_images_is_found():
    first, second = sets(60, 300, 6 * np.eye(300)[0])
    assert measured(first, second).value > 1.5


def test_sets_of_unequal_size_are_no_distance():
    rng = np.random.default_rng(0)
    found = [measured(rng.normal(size=(400, 4)), rng.normal(size=(40, 4)), seed).value for seed in range(6)]
    assert np.mean(found) == pytest.approx(0, abs=0.25)


def test_fewer_images_mean_a_wider_interval():
    wide, narrow = (measured(*sets(600, 3, 1.0), most=most) for most in (30, 600))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
