import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headstart.distances.sliced_wasserstein import SlicedWasserstein, squared_transport
from tests.distances import slow

COLUMN = st.integers(1, 9).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-100, 100, width=32)))


def value(first, second, seed=0, **settings):
    return SlicedWasserstein(**settings)(first, second, rng=np.random.default_rng(seed)).value


def along(first, second):
    return squared_transport(np.sort(first)[:, None], np.sort(second)[:, None])[0]


@given(COLUMN, COLUMN)
@settings(max_examples=60, deadline=None)
def test_along_one_direction_it_equals_pairs_of_sorted_copies(first, second):
    assert along(first, second) == pytest.approx(slow.squared_transport(first, second), rel=1e-9, abs=1e-9)
    # Of order 2 it is at least that of order 1, which SciPy has.
    assert np.sqrt(along(first, second)) >= slow.transport(first, second) - 1e-6


def test_of_a_shift_it_is_the_root_mean_square_of_its_projections():
    rng = np.random.default_rng(0)
    rows, shift = rng.normal(size=(40, 7)), rng.normal(size=7)
    axes = np.random.default_rng(3).normal(size=(7, 128))
    axes /= np.linalg.norm(axes, axis=0)
    assert value(rows, rows + shift, seed=3) == pytest.approx(np.sqrt(np.mean((shift @ axes)**2)))
    assert value(rows, rows + shift, directions=5000) == pytest.approx(np.linalg.norm(shift) / np.sqrt(7), rel=0.03)


def test_of_many_images_it_is_that_of_the_gaussians():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4000, 3)), 2 * rng.normal(size=(3000, 3)) + 1
    # Along any direction u: (sum of u)^2, 1 on average, and (2 - 1)^2.
    assert value(first, second, directions=2000) == pytest.approx(np.sqrt(2), rel=0.04)


def test_copies_of_a_set_are_no_distance():
    rows = np.random.default_rng(0).normal(size=(7, 4))
    assert value(rows, np.repeat(rows, 3, axis=0)) == pytest.approx(0, abs=1e-12)
