"""AFN: the features of both domains grow longer step by step, since those of the target are short where it is hard."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32


class AFN(Alignment):
    """mean (|f| - (|f|' + delta))^2 over the images of both domains: |f|' is the norm |f| without gradient.

    The stepwise form (SAFN). Its value is always delta^2; what it does is in its gradient, which lengthens features by
    the same force whatever their length. A feature of zero has no direction to grow in, and stays.
    Needs features of both domains, no labels.
    Source: Xu et al., "Larger Norm More Transferable", ICCV 2019.
    """

    strength: float = Field(0.05, ge=0, le=1e6)
    """Factor on the loss, beside that on the source's labels (the paper's lambda)."""
    delta: float = Field(1.0, gt=0, le=1e6)
    """By how much a norm is to exceed itself (the paper's delta r)."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _StepwiseNorm(self.delta)


class _StepwiseNorm(nn.Module):
    def __init__(self, delta: float) -> None:
        super().__init__()
        self.delta = delta

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        norms = torch.linalg.vector_norm(torch.cat([pair.source.features, pair.target.features]), dim=1)
        return (norms - (norms.detach() + self.delta)).square().mean()
