"""Dice loss: one minus twice the overlap over the sum of both areas; a small class counts like a large one."""

from __future__ import annotations

import torch
from pydantic import Field

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.mask_losses.overlap import overlap


class Dice(MaskLoss):
    """1 - (2 sum p t + s) / (sum p + sum t + s), mean over the classes that the image shows.

    Source: Milletari et al., "V-Net", 3DV 2016, without its squares.
    """

    smooth: float = Field(1.0, ge=0)
    """Added above and below, in pixels, so that a class of a few pixels does not dominate."""

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        found = overlap(logits, targets)
        below = (found.predicted + found.true + self.smooth).clamp(min=torch.finfo(torch.float32).tiny)
        return found.mean(1 - (2 * found.shared + self.smooth) / below, class_weights)
