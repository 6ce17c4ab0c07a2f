import numpy as np
import pytest

from headstart.alignments.entropy import Entropy
from tests.alignments.pairs import double, entropies, gradient, of_target_logits, pair, slopes, softmax, value


def mean_entropy(logits: np.ndarray) -> float:
    return float(np.mean(entropies(softmax(logits))))


@pytest.mark.parametrize("targets", [7, 1, 2])
def test_the_loss_is_the_mean_entropy_of_the_targets_answers(targets: int) -> None:
    given = pair(targets=targets)
    assert value(Entropy().build(6, 4), given) == pytest.approx(mean_entropy(double(given.target.logits)), rel=1e-5)


def test_its_gradient_is_that_of_central_differences() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (7, 4))
    given = of_target_logits(logits)
    Entropy().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.logits), slopes(mean_entropy, logits), rtol=1e-3, atol=1e-6)


def test_it_lies_between_nothing_for_sure_answers_and_ln_c_for_none() -> None:
    loss = Entropy().build(6, 4)
    assert value(loss, of_target_logits(1000 * np.eye(4)[[0, 0, 1]])) == pytest.approx(0, abs=1e-6)
    assert value(loss, of_target_logits(np.zeros((3, 4)))) == pytest.approx(np.log(4))


def test_the_source_gets_no_gradient() -> None:
    given = pair()
    Entropy().build(6, 4)(given).backward()
    assert given.source.features.grad is None
