"""One batch as a regulariser sees it: a small network, and what it was before it moved."""

import copy
from dataclasses import replace

import torch

from headstart.regularisers.regulariser import Step
from headstart.training.network import Network
from tests.training.small import model, plan


def moved(network: Network, *, by: float = 0.05) -> Network:
    """Add noise to all parameters that train."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return network


def step(*, by: float = 0.05, several: bool = False, scope: str = "all", head: float = 0.0) -> Step:
    """Return a batch of 4 after the weights were moved; `head`: size of the head's weights before that."""
    network = Network(model().backbone, model().head, plan(scope=scope))
    with torch.no_grad():
        network.head.linear.weight.normal_(0, head, generator=torch.Generator().manual_seed(2))
    frozen = [copy.deepcopy(network).requires_grad_(False).eval() for _ in range(2)]
    return given(moved(network, by=by), reference=frozen[0], averaged=frozen[1], importance=importance(network),
                 several=several)


def importance(network: Network) -> dict[str, torch.Tensor]:
    """Random weights 0..2 of what trains of the backbone."""
    generator = torch.Generator().manual_seed(3)
    return {name: 2 * torch.rand(parameter.shape, generator=generator)
            for name, parameter in network.backbone.named_parameters(prefix="backbone") if parameter.requires_grad}


def given(network: Network, **others) -> Step:
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Step(network, images, *network.features_and_logits(images), **others)


def double(found: Step) -> Step:
    """Return the same step computed in float64."""
    images = found.images.double()
    networks = {name: copy.deepcopy(getattr(found, name)).double() for name in ("network", "reference", "averaged")}
    features, logits = networks["network"].features_and_logits(images)
    return replace(found, images=images, features=features, logits=logits, **networks)
