import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.alignments.deep_coral import DeepCORAL
from tests.alignments.pairs import double, gradient, of_features, pair, slopes, value


def covariances_apart(source: np.ndarray, target: np.ndarray) -> float:
    distance = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    return float(np.sum(distance ** 2)) / (4 * source.shape[1] ** 2)


@pytest.mark.parametrize(("sources", "targets"), [(5, 7), (2, 9)])
def test_the_loss_is_the_distance_of_numpys_covariances(sources: int, targets: int) -> None:
    given = pair(sources, targets)
    expected = covariances_apart(double(given.source.features), double(given.target.features))
    assert value(DeepCORAL().build(6, 4), given) == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_central_differences() -> None:
    given = pair()
    source, target = double(given.source.features), double(given.target.features)
    DeepCORAL().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.features),
                               slopes(lambda moved: covariances_apart(source, moved), target), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_equal_covariances_cost_nothing_wherever_the_means_are(seed: int, shift: float) -> None:
    features = np.random.default_rng(seed).normal(size=(5, 6))
    loss = DeepCORAL().build(6, 4)
    assert value(loss, of_features(features, features[::-1] + shift)) == pytest.approx(0, abs=1e-7)
    assert value(loss, of_features(features, shift - features)) == pytest.approx(0, abs=1e-7)


def test_one_image_has_a_covariance_of_zero() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5, 6))
    expected = np.sum(np.cov(source, rowvar=False) ** 2) / (4 * 36)
    assert value(DeepCORAL().build(6, 4), of_features(source, rng.normal(size=(1, 6)))) == pytest.approx(expected)
