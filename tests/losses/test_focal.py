import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from headstart.errors import ConfigError
from headstart.losses.focal import Focal
from tests.losses.reference import HARD, LOGITS, PRIOR, SEVERAL, SOFT, near_1, sigmoid, softmax, tensors


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("targets", [HARD, SOFT], ids=["hard", "soft"])
def test_softmax_equals_the_formula(gamma, targets):
    expected = [-sum(t * (1 - p) ** gamma * np.log(p) for t, p in zip(row, probabilities, strict=True))
                for row, probabilities in zip(targets, softmax(LOGITS), strict=True)]
    found = Focal(gamma=gamma).softmax(*tensors(LOGITS, targets, PRIOR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("targets", [SEVERAL, sigmoid(LOGITS[::-1])], ids=["hard", "soft"])
def test_sigmoid_equals_torchvision(gamma, alpha, targets):
    logits, wanted, prior = tensors(LOGITS, targets, PRIOR)
    expected = sigmoid_focal_loss(logits, wanted, alpha=-1 if alpha is None else alpha, gamma=gamma).mean(dim=1)
    torch.testing.assert_close(Focal(gamma=gamma, alpha=alpha).sigmoid(logits, wanted, prior), expected)


def test_gamma_0_is_cross_entropy():
    logits, soft, prior = tensors(LOGITS, SOFT, PRIOR)
    torch.testing.assert_close(Focal(gamma=0).softmax(logits, soft, prior),
                               functional.cross_entropy(logits, soft, reduction="none"))
    torch.testing.assert_close(Focal(gamma=0).sigmoid(logits, soft, prior),
                               functional.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1))


def test_an_answer_that_is_right_counts_less_the_larger_gamma():
    logits, target, prior = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0.5, 0.5])
    costs = [Focal(gamma=gamma).softmax(logits, target, prior).item() for gamma in (0, 1, 2, 4)]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 0.9, 1.0, 2.0])
def test_the_gradient_has_no_nan_where_the_probability_reaches_1(gamma):
    logits = near_1().requires_grad_()
    right = torch.tensor([[1.0, 0.0]]).expand(len(logits), 2)
    Focal(gamma=gamma).softmax(logits, right, right[0]).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[-1].abs().max() < 1e-6
    single = near_1()[:, :1].requires_grad_()
    Focal(gamma=gamma).sigmoid(single, torch.ones_like(single), right[0, :1]).sum().backward()
    assert torch.isfinite(single.grad).all()


def test_alpha_is_refused_where_it_has_no_effect():
    Focal(alpha=0.25).check("multilabel")
    Focal().check("classification")
    with pytest.raises(ConfigError, match=r"loss focal: alpha .* has no effect on classification"):
        Focal(alpha=0.25).check("classification")
