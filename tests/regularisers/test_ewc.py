import numpy as np
import pytest

from headstart.regularisers.ewc import EWC
from tests.regularisers.steps import step

SCOPES = pytest.mark.parametrize("scope", ["all", "last-1", "norm-only"])


def ways(given, name):
    now, start = (dict(part.named_parameters())[name].detach().double().numpy()
                  for part in (given.network, given.reference))
    return now - start


@SCOPES
def test_the_penalty_is_the_papers(scope):
    """Equation 3 in float64: lambda / 2 sum F (w - w0)^2."""
    given = step(scope=scope, head=0.3)
    expected = sum((weights.double().numpy() * ways(given, name) ** 2).sum()
                   for name, weights in given.importance.items())
    assert float(EWC(strength=0.7).penalty(given).detach()) == pytest.approx(0.7 / 2 * expected, rel=1e-5)


@SCOPES
def test_the_gradient_is_the_way_back_to_the_start_as_far_as_a_weight_matters(scope):
    given = step(scope=scope, head=0.3)
    EWC(strength=0.7).penalty(given).backward()
    for name, parameter in given.network.named_parameters():
        if name in given.importance:
            expected = 0.7 * given.importance[name].numpy() * ways(given, name)
            np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-5)
        else:
            assert parameter.grad is None


def test_it_takes_the_place_of_the_decay_towards_zero():
    assert EWC.replaces_decay
