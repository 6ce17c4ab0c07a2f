import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from headstart.alignments.information_maximisation import InformationMaximisation
from tests.alignments.pairs import double, entropies, gradient, of_target_logits, pair, slopes, softmax, value


def information(logits: np.ndarray) -> float:
    p = softmax(logits)
    mean = np.array([np.mean(p[:, k]) for k in range(p.shape[1])])
    return float(np.mean(entropies(p)) - entropies(mean[None])[0])


@pytest.mark.parametrize("targets", [7, 1, 2])
def test_the_loss_is_mean_entropy_less_entropy_of_the_mean(targets: int) -> None:
    given = pair(targets=targets)
    expected = information(double(given.target.logits))
    assert value(InformationMaximisation().build(6, 4), given) == pytest.approx(expected, abs=1e-6)


def test_its_gradient_is_that_of_central_differences() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (7, 4))
    given = of_target_logits(logits)
    InformationMaximisation().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.logits), slopes(information, logits), rtol=1e-3, atol=1e-6)


@settings(max_examples=30, deadline=None)
@drawn(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 5), st.floats(0, 50))
def test_the_loss_lies_between_minus_ln_c_and_0(seed: int, targets: int, classes: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, (targets, classes))
    found = value(InformationMaximisation().build(6, classes), of_target_logits(logits))
    assert -np.log(classes) - 1e-5 <= found <= 1e-5


def test_sure_and_diverse_answers_are_best_and_equal_ones_worst() -> None:
    loss = InformationMaximisation().build(6, 4)
    assert value(loss, of_target_logits(1000 * np.eye(4))) == pytest.approx(-np.log(4))
    assert value(loss, of_target_logits(1000 * np.eye(4)[[0, 0, 0]])) == pytest.approx(0, abs=1e-6)
    assert value(loss, of_target_logits(np.zeros((3, 4)))) == pytest.approx(0, abs=1e-6)
