import numpy as np
import pytest
import torch

from headstart.losses.symmetric_cross_entropy import SymmetricCrossEntropy
from tests.losses.reference import HARD, LOGITS, PRIOR, SEVERAL, SOFT, sigmoid, softmax, tensors


def log(t: float) -> float:
    return max(np.log(t), -4.0) if t else -4.0


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1.0), (6.0, 0.1), (0.0, 1.0)])
@pytest.mark.parametrize("targets", [HARD, SOFT], ids=["hard", "soft"])
def test_softmax_equals_the_formula(alpha, beta, targets):
    expected = [-alpha * sum(t * np.log(p) for t, p in zip(row, probabilities, strict=True))
                - beta * sum(p * log(t) for t, p in zip(row, probabilities, strict=True))
                for row, probabilities in zip(targets, softmax(LOGITS), strict=True)]
    found = SymmetricCrossEntropy(alpha=alpha, beta=beta).softmax(*tensors(LOGITS, targets, PRIOR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets", [SEVERAL, SOFT], ids=["hard", "soft"])
def test_sigmoid_equals_the_formula(targets):
    def one(t: float, p: float) -> float:
        forward = -t * np.log(p) - (1 - t) * np.log(1 - p)
        return 2 * forward + 3 * (-p * log(t) - (1 - p) * log(1 - t))

    expected = [np.mean([one(t, p) for t, p in zip(row, probabilities, strict=True)])
                for row, probabilities in zip(targets, sigmoid(LOGITS), strict=True)]
    found = SymmetricCrossEntropy(alpha=2, beta=3).sigmoid(*tensors(LOGITS, targets, PRIOR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_reverse_of_a_hard_label_is_4_times_the_doubt():
    logits, hard, prior = tensors(LOGITS, HARD, PRIOR)
    found = SymmetricCrossEntropy(alpha=0, beta=1).softmax(logits, hard, prior)
    np.testing.assert_allclose(found, 4 * (1 - (softmax(LOGITS) * HARD).sum(axis=1)), atol=1e-5)


def test_a_label_surely_wrong_pulls_only_through_the_cross_entropy():
    """The reverse is flat there: its gradient vanishes, while that of the cross-entropy is 1."""
    logits = torch.tensor([[20.0, -20.0]], requires_grad=True)
    SymmetricCrossEntropy(alpha=0.1, beta=1).softmax(logits, torch.tensor([[0.0, 1.0]]), torch.ones(2)).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[0.1, -0.1]]))
