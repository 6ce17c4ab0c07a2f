"""Cross-entropy: the log loss of each pixel."""

from __future__ import annotations

import torch
from torch.nn import functional

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.mask_losses.overlap import pixel_mean
from headstart.types import IGNORED


class CrossEntropy(MaskLoss):
    """-log p of the true class, mean over the pixels, each weighted by its class."""

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        losses = functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
        return pixel_mean(losses, targets, class_weights)
