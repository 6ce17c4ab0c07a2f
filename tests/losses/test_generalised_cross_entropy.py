import numpy as np
import pytest
import torch
from torch.nn import functional

from headstart.losses.generalised_cross_entropy import GeneralisedCrossEntropy
from tests.losses.reference import HARD, LOGITS, PRIOR, SEVERAL, SOFT, sigmoid, softmax, tensors


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
@pytest.mark.parametrize("targets", [HARD, SOFT], ids=["hard", "soft"])
def test_softmax_equals_the_formula(q, targets):
    expected = [sum(t * (1 - p ** q) / q for t, p in zip(row, probabilities, strict=True))
                for row, probabilities in zip(targets, softmax(LOGITS), strict=True)]
    found = GeneralisedCrossEntropy(q=q).softmax(*tensors(LOGITS, targets, PRIOR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
@pytest.mark.parametrize("targets", [SEVERAL, SOFT], ids=["hard", "soft"])
def test_sigmoid_equals_the_formula(q, targets):
    p = sigmoid(LOGITS)
    expected = (targets * (1 - p ** q) / q + (1 - targets) * (1 - (1 - p) ** q) / q).mean(axis=1)
    found = GeneralisedCrossEntropy(q=q).sigmoid(*tensors(LOGITS, targets, PRIOR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_q_towards_0_is_cross_entropy():
    logits, soft, prior = tensors(LOGITS, SOFT, PRIOR)
    loss = GeneralisedCrossEntropy(q=1e-6)
    torch.testing.assert_close(loss.softmax(logits, soft, prior),
                               functional.cross_entropy(logits, soft, reduction="none"), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss.sigmoid(logits, soft, prior),
                               functional.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1),
                               rtol=1e-5, atol=1e-5)


def test_q_1_is_half_the_absolute_error():
    logits, hard, prior = tensors(LOGITS, HARD, PRIOR)
    expected = np.abs(HARD - softmax(LOGITS)).sum(axis=1) / 2
    np.testing.assert_allclose(GeneralisedCrossEntropy(q=1).softmax(logits, hard, prior), expected, atol=1e-6)


def test_a_wrong_label_costs_at_most_1_over_q():
    logits, wrong = torch.tensor([[50.0, -50.0]]), torch.tensor([[0.0, 1.0]])
    assert GeneralisedCrossEntropy(q=0.5).softmax(logits, wrong, wrong[0]).item() == pytest.approx(2)


def test_the_gradient_is_that_of_cross_entropy_times_p_to_the_q():
    logits, hard, prior = tensors(LOGITS, HARD, PRIOR)
    logits.requires_grad_()
    GeneralisedCrossEntropy(q=0.7).softmax(logits, hard, prior).sum().backward()
    p = softmax(LOGITS)
    expected = (p * HARD).sum(axis=1, keepdims=True) ** 0.7 * (p - HARD)
    np.testing.assert_allclose(logits.grad, expected, atol=1e-6)
