"""Tversky loss: Dice loss that weighs what was missed against what was wrongly taken."""

from __future__ import annotations

import torch
from pydantic import Field

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.mask_losses.overlap import overlap


class Tversky(MaskLoss):
    """1 - (TP + s) / (TP + alpha FP + beta FN + s), mean over the classes that the image shows.

    Source: Salehi et al., "Tversky Loss Function for Image Segmentation", MLMI 2017. With alpha = beta = 0.5 and half
    the `smooth` it is the Dice loss.
    """

    alpha: float = Field(0.3, ge=0, le=1)
    """What a pixel costs that was wrongly taken for the class."""
    beta: float = Field(0.7, ge=0, le=1)
    """What a pixel of the class costs that was missed."""
    smooth: float = Field(1.0, ge=0)
    """Added above and below, in pixels, so that a class of a few pixels does not dominate."""

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        found = overlap(logits, targets)
        wrong, missed = found.predicted - found.shared, found.true - found.shared
        below = (found.shared + self.alpha * wrong + self.beta * missed + self.smooth).clamp(
            min=torch.finfo(torch.float32).tiny)
        return found.mean(1 - (found.shared + self.smooth) / below, class_weights)
