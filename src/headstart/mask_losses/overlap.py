"""Overlap: how much of each class an image's probabilities share with its truth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from headstart.types import IGNORED

# B images, C classes, H and W pixels


class Overlap(NamedTuple):
    """Sums over the pixels that are of some class; float32 [B, C] each."""

    shared: torch.Tensor
    """Of the probability where the class is true."""
    predicted: torch.Tensor
    """Of the probability."""
    true: torch.Tensor
    """Of the pixels."""

    def mean(self, values: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return float32 [B], the weighted mean of [B, C] over the classes that an image shows; 0 where it shows none.
        """
        weights = (self.true > 0) * class_weights
        return (values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=torch.finfo(torch.float32).tiny)


def overlap(logits: torch.Tensor, targets: torch.Tensor) -> Overlap:
    """Return the sums. Shapes as in `MaskLoss`."""
    counted = (targets != IGNORED)[:, None]
    probabilities = logits.softmax(dim=1) * counted
    truth = functional.one_hot(targets.masked_fill(targets == IGNORED, 0), logits.shape[1]).movedim(-1, 1) * counted
    shared, predicted, true = (part.sum(dim=(2, 3)) for part in (probabilities * truth, probabilities, truth))
    return Overlap(shared, predicted, true.float())


def pixel_mean(values: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
    """Return float32 [B], the mean of [B, H, W] over the pixels of each image, weighted by their class; 0 for none."""
    counted = targets != IGNORED
    weights = class_weights[targets.masked_fill(~counted, 0)] * counted
    return (values * weights).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp(min=torch.finfo(torch.float32).tiny)
