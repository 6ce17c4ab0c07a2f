"""Recomputation: activations are computed anew in the backward pass instead of being kept (gradient checkpointing)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import checkpoint


@contextlib.contextmanager
def recomputed(stages: Sequence[nn.Module]) -> Iterator[None]:
    """Let the forward passes in this context keep only what goes into each piece of the stages.

    stages: those of `Backbone.stages()`. A backward pass, also after the context, costs one more forward pass and gives
    the same gradients: dropout and drop path are replayed, BatchNorm's statistics are moved once. Without gradients
    nothing is different. Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
    """
    pieces = [piece for stage in stages for piece in _pieces(stage)]
    try:
        for piece in pieces:
            piece.forward = _Recomputing(piece)
        yield
    finally:
        for piece in pieces:
            piece.__dict__.pop("forward", None)


def _pieces(stage: nn.Module) -> Iterator[nn.Module]:
    """Return the largest modules of a stage that are called as a whole.

    A single layer is no piece: what it keeps is its input, and an activation may even overwrite it.
    """
    members = getattr(stage, "members", None)
    for member in [stage] if members is None else members:
        if isinstance(member, nn.ModuleList):
            yield from (piece for child in member for piece in _pieces(child))
        elif not isinstance(member, _BatchNorm) and any(True for _ in member.children()):
            yield member


class _Recomputing:
    """Stands in for a module's `forward`. A copy of the module has a copy of this, which is its own."""

    def __init__(self, piece: nn.Module) -> None:
        self.forward = piece.forward
        self.norms = [module for module in piece.modules() if isinstance(module, _BatchNorm)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        # One by one: a list of tensors would be kept as it is, and HRNet's stages write into theirs.
        leaves, shape = tree_flatten((args, kwargs))

        def run(*given: Any) -> Any:
            positional, named = tree_unflatten(given, shape)
            return self.forward(*positional, **named)

        return checkpoint(run, *leaves, use_reentrant=False,
                          context_fn=lambda: (contextlib.nullcontext(), _resting(self.norms)))


@contextlib.contextmanager
def _resting(norms: Iterable[_BatchNorm]) -> Iterator[None]:
    """Keep BatchNorm's statistics where the first pass has left them, though it computes as in training."""
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm, _, _ in before:
            norm.momentum, norm.num_batches_tracked = 0.0, None
        yield
    finally:
        for norm, momentum, tracked in before:
            norm.momentum, norm.num_batches_tracked = momentum, tracked
