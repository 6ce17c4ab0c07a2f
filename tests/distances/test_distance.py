import warnings

import numpy as np
import pytest

from headstart.distances.distance import DISTANCES
from headstart.errors import ConfigError, DataError

NAMES = DISTANCES.names()
SIZES = {"many": (200, 150, 6), "few": (15, 40, 60), "one feature": (40, 30, 1), "two each": (2, 2, 5),
         "two and many": (2, 90, 30), "three": (3, 3, 200)}


def pair(size, seed=0, *, shift=0.0, spread=1.0):
    """Samples of N(0, S) and of the same, spread and shifted."""
    rng = np.random.default_rng(seed)
    count, other, width = size
    scale = rng.uniform(0.5, 2, width)
    return rng.normal(size=(count, width)) * scale, spread * rng.normal(size=(other, width)) * scale + shift


def measured(name, first, second, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return DISTANCES.get(name)()(first, second, rng=np.random.default_rng(seed))


def value(name, first, second, seed=0):
    return measured(name, first, second, seed).value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_is_finite_and_its_interval_holds_it(name, size):
    found = measured(name, *pair(size, shift=1.0))
    assert np.isfinite(found.value)
    if found.low is not None:
        assert found.low <= found.value <= found.high
    if found.p_value is not None:
        assert 0 < found.p_value <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_constant_features_are_no_distance(name, size):
    first, second = (np.full((count, size[2]), 0.1) for count in size[:2])
    assert value(name, first, second) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(value(name, first, second + 1))


@pytest.mark.parametrize("name", NAMES)
def test_features_of_which_some_are_constant_and_some_alike_are_no_trouble(name):
    first, second = pair((80, 60, 6), shift=1.0)
    first, second = (np.hstack([part, part[:, :2], np.full((len(part), 2), 3.0)]) for part in (first, second))
    assert value(name, first, second) > value(name, first, first[::-1])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_same_whichever_comes_first(name):
    first, second = pair((150, 150, 6), shift=0.3, spread=1.4)
    there = np.mean([value(name, first, second, seed) for seed in range(4)])
    back = np.mean([value(name, second, first, seed) for seed in range(4)])
    assert there == pytest.approx(back, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_bits(name):
    first, second = pair((90, 70, 6), shift=0.3)
    assert measured(name, first, second, 3) == measured(name, first, second, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_of_both_sets_changes_nothing(name):
    first, second = pair((90, 70, 6), shift=0.3)
    assert value(name, first + 50, second + 50) == pytest.approx(value(name, first, second), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_rotation_changes_nothing_but_the_directions(name):
    first, second = pair((120, 90, 6), shift=0.5, spread=1.3)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    tolerance = 0.15 if name == "sliced_wasserstein" else 1e-3
    assert value(name, first @ turn, second @ turn) == pytest.approx(value(name, first, second), rel=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_another_unit_changes_those_only_that_are_in_the_unit_of_the_features(name):
    first, second = pair((120, 90, 6), shift=0.5, spread=1.3)
    power = {"frechet": 2, "coral": 4, "sliced_wasserstein": 1}.get(name, 0)
    assert value(name, 10 * first, 10 * second) == pytest.approx(10**power * value(name, first, second), rel=1e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "coral"])
def test_it_grows_with_a_shift(name):
    found = [value(name, *pair((300, 300, 6), shift=shift)) for shift in (0, 0.3, 0.8, 2)]
    assert found == sorted(found)
    assert found[0] < found[1] < found[-1]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "proxy_a"])
def test_it_grows_with_noise_that_a_linear_classifier_cant_see(name):
    found = [value(name, *pair((300, 300, 6), spread=spread)) for spread in (1, 1.3, 2, 3)]
    assert found == sorted(found)


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_one_population_lie_nearer_than_those_of_two(name):
    same = [value(name, *pair((60, 60, 30), seed)) for seed in range(4)]
    apart = [value(name, *pair((60, 60, 30), seed, shift=1.0, spread=1.5)) for seed in range(4)]
    assert max(same) < min(apart)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("first", "second", "message"), [
    (np.zeros((5, 3)), np.zeros((5, 4)), "needs two sets of vectors of one width"),
    (np.zeros(5), np.zeros((5, 4)), "needs two sets of vectors of one width"),
    (np.zeros((1, 3)), np.zeros((5, 3)), "needs two images of each set at least, got 1 and 5"),
    (np.zeros((5, 3)), np.full((5, 3), np.nan), "some features are NaN or infinite"),
])
def test_what_cant_be_measured_is_refused(name, first, second, message):
    with pytest.raises(DataError, match=f"{name}: {message}"):
        value(name, first, second)


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(ConfigError, match='unknown distance "proxy"'):
        DISTANCES.get("proxy")
    assert "by_class" not in NAMES
