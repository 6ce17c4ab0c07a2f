"""Lovasz-softmax: a surrogate of one minus the intersection over union of each class."""

from __future__ import annotations

import torch

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.types import IGNORED


class Lovasz(MaskLoss):
    """The Lovasz extension of the Jaccard loss, on each image apart, mean over the classes that the image shows.

    Source: Berman et al., "The Lovasz-Softmax loss", CVPR 2018. A class whose errors are sorted from large to small
    costs the sum of error x growth of the Jaccard loss.
    """

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        return torch.stack([self._one(one, target, class_weights) for one, target
                            in zip(logits.softmax(dim=1), targets, strict=True)])

    def _one(self, probabilities: torch.Tensor, target: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return the loss of one image. probabilities: [C, H, W]; target: [H, W]."""
        counted = target != IGNORED
        flat, truth = probabilities[:, counted], target[counted]
        shown = truth.unique()
        if not len(shown):
            return probabilities.sum() * 0
        losses = torch.stack([_jaccard(flat[label], truth == label) for label in shown])
        weights = class_weights[shown]
        return (losses * weights).sum() / weights.sum()


def _jaccard(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the surrogate of one class. probability, truth: [P], of P pixels."""
    hit = truth.float()
    errors, order = (hit - probability).abs().sort(descending=True)
    hit = hit[order]
    # Of the first k pixels as errors: 1 - (true - hits) / (true + misses so far).
    intersection, union = hit.sum() - hit.cumsum(0), hit.sum() + (1 - hit).cumsum(0)
    loss = 1 - intersection / union
    growth = torch.cat([loss[:1], loss[1:] - loss[:-1]])
    return (errors * growth).sum()
