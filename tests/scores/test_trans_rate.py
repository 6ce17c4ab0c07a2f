import numpy as np
import pytest

from headstart.scores.trans_rate import TransRate
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw


def test_iris():
    assert TransRate()(X, Y) == pytest.approx(0.589405, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("epsilon", [1e-4, 1.0])
def test_it_equals_the_formula(shape, seed, epsilon):
    features, labels, _ = draw(shape, seed)
    expected = slow.trans_rate(features, labels, epsilon)
    assert TransRate(epsilon=epsilon)(features, labels) == pytest.approx(expected, rel=1e-8)


def test_it_is_at_least_0_and_0_where_all_is_constant():
    for seed in range(5):
        features, labels, _ = draw((50, 8, 4), seed, apart=0)
        assert TransRate()(features, labels) >= 0
    assert TransRate()(np.full((6, 3), 0.1), np.arange(6) % 2) == pytest.approx(0, abs=1e-12)


def test_a_class_of_its_own_size_counts_by_its_share():
    labels = (np.arange(150) < 10).astype(int)
    assert TransRate()(X, labels) == pytest.approx(slow.trans_rate(X, labels))
