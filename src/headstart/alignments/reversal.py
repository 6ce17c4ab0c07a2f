"""Gradient reversal: the identity forwards, a change of sign backwards, so that one step plays both sides of a game."""

from __future__ import annotations

import math
from typing import Any

import torch


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse(values: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """Return `values` unchanged; backwards, their gradient comes out times -factor.

    Source: Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015, section 3.
    """
    reversed_values: torch.Tensor = _Reversal.apply(values, factor)
    return reversed_values


def rising(progress: float) -> float:
    """Return 2 / (1 + exp(-10 progress)) - 1: 0 at the start, 0.987 half way, near 1 at the end.

    A discriminator that has learned nothing yet would lead the features astray.
    Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1
