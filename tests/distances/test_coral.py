import numpy as np
import pytest

from headstart.distances.coral import Coral
from tests.distances import slow


def value(first, second):
    return Coral()(first, second, rng=np.random.default_rng(0)).value


def test_by_hand():
    # Covariances [[2, 0], [0, 0]] and [[0, 0], [0, 8]]: (4 + 64) / (4 * 4).
    assert value(np.array([[1.0, 5], [-1, 5]]), np.array([[0.0, 2], [0, -2]])) == pytest.approx(4.25)


@pytest.mark.parametrize("shape", [(30, 20, 5), (8, 9, 40), (2, 2, 3), (2, 3, 9)])
def test_it_equals_the_formula(shape):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(shape[0], shape[2])), 2 * rng.normal(size=(shape[1], shape[2])) + 3
    assert value(first, second) == pytest.approx(slow.coral(first, second), rel=1e-9)


@pytest.mark.parametrize("width", [4, 300])
def test_a_shift_is_not_seen(width):
    rows = np.random.default_rng(0).normal(size=(20, width))
    assert value(rows, rows + 7) == pytest.approx(0, abs=1e-12)
