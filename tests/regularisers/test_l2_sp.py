import numpy as np
import pytest
import torch

from headstart.regularisers.l2_sp import L2SP
from tests.regularisers.steps import step

SCOPES = pytest.mark.parametrize("scope", ["all", "last-1", "norm-only", "head"])


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: parameter.detach().double().numpy() for name, parameter in module.named_parameters()}


@SCOPES
def test_the_penalty_is_the_papers_over_what_trains(scope: str) -> None:
    """Equation 5 in float64: alpha / 2 |w - w0|^2 + beta / 2 |v|^2, w of the backbone and v of the head."""
    given = step(scope=scope, head=0.3)
    now, start = arrays(given.network), arrays(given.reference)
    trained = {name for name, parameter in given.network.named_parameters() if parameter.requires_grad}
    pull = sum(((now[name] - start[name]) ** 2).sum() for name in trained if name.startswith("backbone."))
    size = sum((now[name] ** 2).sum() for name in trained if name.startswith("head."))
    found = L2SP(strength=0.7, head_strength=0.2).penalty(given)
    assert float(found.detach()) == pytest.approx(0.7 / 2 * pull + 0.2 / 2 * size, rel=1e-5)


@SCOPES
def test_the_gradient_is_the_way_back_to_the_start(scope: str) -> None:
    given = step(scope=scope)
    L2SP(strength=0.7, head_strength=0.2).penalty(given).backward()
    now, start = arrays(given.network), arrays(given.reference)
    for name, parameter in given.network.named_parameters():
        if parameter.requires_grad:
            expected = 0.7 * (now[name] - start[name]) if name.startswith("backbone.") else 0.2 * now[name]
            np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-6)


def test_it_takes_the_place_of_the_decay_towards_zero() -> None:
    assert L2SP.replaces_decay
