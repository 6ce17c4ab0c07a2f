import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from headstart.alignments.afn import AFN
from tests.alignments.pairs import double, gradient, of_features, pair, value


@settings(max_examples=30, deadline=None)
@drawn(st.floats(0.1, 10), st.integers(1, 6), st.integers(1, 6))
def test_the_value_is_always_the_square_of_delta(delta: float, sources: int, targets: int) -> None:
    assert value(AFN(delta=delta).build(6, 4), pair(sources, targets)) == pytest.approx(delta ** 2, rel=1e-4)


@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_the_gradient_lengthens_every_feature_alike(delta: float) -> None:
    """d/df mean (|f| - c)^2 at |f| = c - delta is -2 delta f / |f| / N, over the N images of both domains."""
    given = pair(3, 8)
    AFN(delta=delta).build(6, 4)(given).backward()
    for view in (given.source, given.target):
        features = double(view.features)
        directions = features / np.sqrt((features ** 2).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(gradient(view.features), -2 * delta * directions / 11, rtol=1e-4, atol=1e-7)


def test_a_feature_of_zero_stays() -> None:
    given = of_features(np.zeros((2, 6)), np.ones((2, 6)))
    AFN().build(6, 4)(given).backward()
    assert not gradient(given.source.features).any()
    assert gradient(given.target.features).all()


def test_its_strength_is_the_papers() -> None:
    assert AFN().strength == 0.05
