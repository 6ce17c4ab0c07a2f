"""EMA: the exponential moving average of the weights."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from headstart.averages.average import Average, Tensors


class EMA(Average):
    """mean <- d * mean + (1 - d) * weights after every step, d = decay, or less while it warms up.

    Source: Polyak & Juditsky, SIAM 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    follows: ClassVar[bool] = True

    decay: float = Field(0.99, gt=0, lt=1)
    """Share of the mean that a step keeps; 1 / (1 - decay) steps are remembered."""
    begin: Literal["warm-up", "steady"] = "warm-up"
    """`warm-up` takes d = min(decay, (1 + t) / (10 + t)) after t means: a short training forgets where it began;
    `steady` keeps to `decay` after the first step, whose weights begin the mean: it stays near a start that is good."""

    def due(self, step: int, *, steps: int, total: int) -> bool:
        """Return True: every step counts."""
        return True

    def update(self, averaged: Tensors, current: Tensors, taken: int) -> None:
        """Move the mean towards the weights."""
        torch._foreach_lerp_(averaged, current, 1 - self.decay_after(taken))

    def decay_after(self, taken: int) -> float:
        """Return d of the step that follows `taken` means."""
        return self.decay if self.begin == "steady" else min(self.decay, (1 + taken) / (10 + taken))
