import numpy as np
import pytest

from headstart.scores.logme import LogME, log_evidence
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw, several


def test_iris():
    assert LogME()(X, Y) == pytest.approx(-0.160060, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, _ = draw(shape, seed)
    assert LogME()(features, labels) == pytest.approx(slow.logme(features, labels), rel=1e-6)


def test_features_that_are_always_0_cost_nothing():
    """The sum of the logarithms runs over all D directions; forgetting those without variance would cost them."""
    assert LogME()(np.hstack([X, np.zeros((150, 300))]), Y) == pytest.approx(LogME()(X, Y), rel=1e-9)


def test_several_labels_are_a_target_each():
    labels = several(Y)
    expected = np.mean([slow.logme_of(X, labels[:, c].astype(float)) for c in range(3)])
    assert LogME()(X, labels) == pytest.approx(expected, rel=1e-9)


def test_int_labels_are_0_1_targets():
    np.testing.assert_allclose(log_evidence(X, Y), log_evidence(X, np.eye(3)[Y]), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_evidence_of_real_targets_is_the_highest_marginal_likelihood(seed):
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(60, 4)) + rng.normal(size=4)
    noise = np.array([0.1, 1.0, 5.0])
    targets = places @ rng.normal(size=(4, 3)) + noise * rng.normal(size=(60, 3))
    found = log_evidence(places, targets)
    assert found.shape == (3,)
    expected = [slow.best_evidence(places, target) for target in targets.T]
    # It stops where the ratio of the precisions moves by a thousandth, or after 11 rounds: noise takes more of them.
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-5)
    np.testing.assert_allclose(found[2], expected[2], atol=2e-3)
    assert (found <= np.array(expected) + 1e-7).all()


def test_the_evidence_is_that_of_many_features_too():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(25, 40))
    target = places @ rng.normal(size=40) + rng.normal(size=25)
    assert log_evidence(places, target)[0] == pytest.approx(slow.best_evidence(places, target), abs=2e-3)


def test_features_that_say_nothing_leave_the_noise_alone():
    target = np.array([1.0, -2.0, 0.5, 3.0])
    expected = np.log(np.exp(-0.5) / np.sqrt(2 * np.pi * (target**2).mean()))  # of N(0, mean square)
    assert log_evidence(np.zeros((4, 3)), target)[0] == pytest.approx(expected)
    orthogonal = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert log_evidence(orthogonal, np.array([1.0, 0.0, 0.0, 1.0]))[0] == pytest.approx(
        np.log(np.exp(-0.5) / np.sqrt(2 * np.pi * 0.5)))


def test_a_target_of_zeros_has_infinite_evidence():
    assert log_evidence(X, np.stack([X[:, 0], X[:, 0] * 0], axis=1))[1] == np.inf


def test_a_target_that_is_a_feature_has_high_but_finite_evidence():
    with np.errstate(all="raise"):
        assert 5 < log_evidence(X, X[:, 1])[0] < np.inf


def test_it_sees_a_shift_since_the_model_has_no_offset():
    assert LogME()(X - X.mean(axis=0), Y) != pytest.approx(LogME()(X, Y), abs=1e-3)
