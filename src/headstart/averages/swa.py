"""SWA: the plain mean of the weights at the ends of the last epochs, at a constant learning rate."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from headstart.averages.average import Average, Tensors


class SWA(Average):
    """Equal-weight mean over the epochs after `start`; where BatchNorm trains, its statistics are taken anew for it.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.
    """

    fresh_statistics: ClassVar[bool] = True

    start: float = Field(0.5, ge=0, lt=1)
    """Share of training after which the epochs' weights are averaged."""
    factor: float = Field(0.3, gt=0, le=1)
    """The constant learning rate from there on, as a share of the highest one."""

    def due(self, step: int, *, steps: int, total: int) -> bool:
        """Return True at the end of each epoch after `start`."""
        return step % steps == 0 and step > self.start * total

    def update(self, averaged: Tensors, current: Tensors, taken: int) -> None:
        """Add the weights to the mean of `taken` sets."""
        torch._foreach_lerp_(averaged, current, 1 / (taken + 1))

    def rate(self, progress: float, factor: float) -> float:
        """Return the constant factor once the averaging has begun."""
        return factor if progress < self.start else self.factor
