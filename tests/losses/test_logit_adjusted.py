import numpy as np
import pytest
import torch
from torch.nn import functional

from headstart.losses.logit_adjusted import LogitAdjusted
from tests.losses.reference import HARD, LOGITS, PRIOR, SEVERAL, SOFT, sigmoid, softmax, tensors


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("targets", [HARD, SOFT], ids=["hard", "soft"])
def test_softmax_equals_the_formula(tau, targets):
    """Equation 10 of the paper, written as one fraction: log(1 + sum of (prior_c / prior_y)^tau e^(z_c - z_y))."""
    expected = []
    for t, z in zip(targets, LOGITS, strict=True):
        each = [np.log(sum((PRIOR[c] / PRIOR[y]) ** tau * np.exp(z[c] - z[y]) for c in range(4))) for y in range(4)]
        expected.append(float(t @ np.array(each)))
    np.testing.assert_allclose(LogitAdjusted(tau=tau).softmax(*tensors(LOGITS, targets, PRIOR)), expected, rtol=1e-5)


@pytest.mark.parametrize("targets", [SEVERAL, SOFT], ids=["hard", "soft"])
def test_sigmoid_equals_the_formula(targets):
    odds = np.exp(LOGITS) * (PRIOR / (1 - PRIOR)) ** 0.5
    p = odds / (1 + odds)
    expected = (-targets * np.log(p) - (1 - targets) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(LogitAdjusted(tau=0.5).sigmoid(*tensors(LOGITS, targets, PRIOR)), expected, rtol=1e-5)


def test_tau_0_is_cross_entropy():
    logits, soft, prior = tensors(LOGITS, SOFT, PRIOR)
    torch.testing.assert_close(LogitAdjusted(tau=0).softmax(logits, soft, prior),
                               functional.cross_entropy(logits, soft, reduction="none"))
    torch.testing.assert_close(LogitAdjusted(tau=0).sigmoid(logits, soft, prior),
                               functional.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1))


def minimise(cost) -> torch.Tensor:
    """Return the logits [X, C] that minimise `cost` to float precision: Newton's way, the problem is convex."""
    logits = torch.zeros(3, 4, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=300, tolerance_grad=1e-9, tolerance_change=0,
                                  line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = cost(logits)
        value.backward()
        return value

    optimizer.step(closure)
    return logits.detach()


LIKELIHOOD = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.1, 0.2, 0.7]])
"""P(what is seen | class) of a world with four classes and three sights."""


def test_the_best_logits_are_the_balanced_bayes_classifier():
    """Closed form: with all the world to learn from, softmax(logits) is P(class | sight) of a world of equal shares.

    That classifier answers the class with the largest likelihood and has the best balanced accuracy; cross-entropy
    answers by the shares.
    """
    joint = PRIOR[:, None] * LIKELIHOOD  # P(class, sight)
    seen, posterior = joint.sum(axis=0), (joint / joint.sum(axis=0)).T
    wanted = LIKELIHOOD.T / LIKELIHOOD.sum(axis=0)[:, None]
    weights, targets, prior = tensors(seen, posterior, PRIOR)
    loss = LogitAdjusted()
    logits = minimise(lambda z: (weights * loss.softmax(z, targets, prior)).sum())
    np.testing.assert_allclose(softmax(logits.double().numpy()), wanted, atol=1e-3)
    assert logits.argmax(1).tolist() == LIKELIHOOD.argmax(axis=0).tolist() == [0, 1, 3]
    plain = minimise(lambda z: (weights * functional.cross_entropy(z, targets, reduction="none")).sum())
    assert plain.argmax(1).tolist() == posterior.argmax(axis=1).tolist() == [0, 0, 0]


def test_the_best_logits_of_labels_forget_how_frequent_each_is():
    """Closed form: sigmoid(logit) is P(label | sight) of a world where half the images have it."""
    present, absent = LIKELIHOOD, LIKELIHOOD[[1, 2, 3, 0]]
    joint = np.stack([PRIOR[:, None] * present, (1 - PRIOR)[:, None] * absent])
    seen, posterior = joint.sum(axis=0).T, (joint[0] / joint.sum(axis=0)).T  # [X, C]
    weights, targets, prior = tensors(seen, posterior, PRIOR)
    loss = LogitAdjusted()
    # One label at a time, so that each keeps its own chance of every sight.
    logits = minimise(lambda z: sum((weights[:, c] * loss.sigmoid(z[:, c:c + 1], targets[:, c:c + 1],
                                                                  prior[c:c + 1])).sum() for c in range(4)))
    np.testing.assert_allclose(sigmoid(logits.double().numpy()), (present / (present + absent)).T, atol=1e-3)
