"""Focal loss: pixels that are right already count less."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.mask_losses.overlap import pixel_mean
from headstart.types import IGNORED

TINY = 1e-12
"""Least share of doubt: below it x^gamma has no finite slope where gamma < 1."""


class Focal(MaskLoss):
    """-(1 - p)^gamma log p of the true class, mean over the pixels, each weighted by its class.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """

    gamma: float = Field(2.0, ge=0, le=20)
    """How much less a pixel counts that is right already; 0 is cross-entropy."""

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        losses = functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        doubt = (-torch.expm1(-losses)).clamp(min=TINY)
        return pixel_mean(doubt ** self.gamma * losses, targets, class_weights)
