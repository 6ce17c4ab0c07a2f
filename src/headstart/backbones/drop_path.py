"""Drop path: in training, residual branches are left out by chance, deep ones more often than shallow ones."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

NAMES = re.compile(r"(^|_)(drop_path\d*|stochastic_(depth|dropout))$")
"""Attributes in which timm and torchvision keep what may leave a branch out."""
DROPPING = ("DropPath", "StochasticDepth")
RESTING = ("NoneType", "Identity")
"""What stands there where a model was built to leave nothing out."""

Block = tuple[nn.Module, list[str]]
"""A residual block, and the names of its branches' attributes."""


def set_rates(model: nn.Module, images: torch.Tensor, rate: float) -> int:
    """Set the chances of the residual branches, 0 in the first block, rising linearly to `rate` in the last one.

    images: float32 [1, channels, H, W], with which the model is tried. Returns the number of branches; 0 for rate 0.
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016; each image of a batch for itself, as timm.
    """
    from torchvision.ops import StochasticDepth

    for block in model.modules():
        for name in _places(block):
            if type(getattr(block, name)).__name__ in DROPPING:
                setattr(block, name, StochasticDepth(0.0, mode="row").train(block.training))
    if rate == 0:
        return 0
    blocks = residual_blocks(model, images)
    for position, (block, names) in enumerate(blocks):
        depth = position / (len(blocks) - 1) if len(blocks) > 1 else 1.0
        for name in names:
            setattr(block, name, StochasticDepth(rate * depth, mode="row").train(block.training))
    return sum(len(names) for _, names in blocks)


def residual_blocks(model: nn.Module, images: torch.Tensor) -> list[Block]:
    """Return the blocks that still pass their input on when their branches are left out, in the order of their calls.

    Found by trying: not every place is called, and not every one is in a branch beside a shortcut.
    """
    calls: dict[nn.Module, tuple[Any, Any]] = {}

    def remember(block: nn.Module, args: Any, kwargs: Any) -> None:
        # In lists of its own: some blocks add to the one that they are given.
        calls.setdefault(block, tree_map(lambda leaf: leaf, (args, kwargs)))

    hooks = [block.register_forward_pre_hook(remember, with_kwargs=True) for block in model.modules() if _places(block)]
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(images)
            for hook in hooks:
                hook.remove()
            return [(block, names) for block, call in calls.items() if (names := _branches(block, *call))]
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training


def _places(block: nn.Module) -> list[str]:
    return [name for name in (*vars(block), *block._modules)
            if NAMES.search(name) and type(getattr(block, name)).__name__ in (*DROPPING, *RESTING)]


def _branches(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Return the places that the block uses; none where its output, without them, does not follow its input."""
    before = {name: getattr(block, name) for name in _places(block)}
    nothing = {name: _Nothing() for name in before}
    try:
        for name, module in nothing.items():
            setattr(block, name, module)
        outputs = [_output(block, args, kwargs, factor=factor) for factor in (1, 2)]
    finally:
        for name, module in before.items():
            if module is None:
                delattr(block, name)  # else the name would stay among the block's modules
            setattr(block, name, module)
    used = [name for name, module in nothing.items() if module.called]
    return [] if torch.equal(*outputs) else used


class _Nothing(nn.Module):
    """A branch that is left out."""

    called = False

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        self.called = True
        return torch.zeros_like(branch)


def _output(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, factor: int) -> torch.Tensor:
    """Return all that the block gives, in one vector, when every x among its inputs is factor * x + factor - 1."""

    def changed(leaf: Any) -> Any:
        is_map = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
        return factor * leaf + (factor - 1) if is_map else leaf

    args, kwargs = tree_map(changed, (args, kwargs))
    return torch.cat([leaf.flatten() for leaf in tree_leaves(block(*args, **kwargs)) if isinstance(leaf, torch.Tensor)])
