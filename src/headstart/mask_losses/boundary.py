"""Boundary loss: a wrong pixel costs as much as it is far from the true edge of its class."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from headstart.mask_losses.mask_loss import MaskLoss
from headstart.types import IGNORED


class Boundary(MaskLoss):
    """Mean over pixels and shown classes of p x signed distance to the class, in shares of the picture's diagonal.

    Source: Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019. Inside of the class the
    distance is negative, so that the loss is below 0 where all is right. It needs a loss of areas beside it, such as
    dice: alone it can settle on nothing.
    """

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        losses = []
        for probabilities, target in zip(logits.softmax(dim=1), targets, strict=True):
            counted = target != IGNORED
            shown = target[counted].unique()
            if not len(shown):
                losses.append(probabilities.sum() * 0)
                continue
            distances = torch.from_numpy(signed_distances(target.cpu().numpy(), shown.tolist())).to(logits.device)
            means = (probabilities[shown] * distances)[:, counted].mean(dim=1)
            losses.append((means * class_weights[shown]).sum() / class_weights[shown].sum())
        return torch.stack(losses)


def signed_distances(target: np.ndarray, labels: list[int]) -> np.ndarray:
    """Return float32 [K, H, W]: of each label the distance to its nearest pixel, inside of it minus that to the nearest
    other one, in shares of the diagonal. target: int64 [H, W]. A label that fills the picture has no edge: 0.
    """
    found = np.zeros((len(labels), *target.shape), np.float32)
    diagonal = float(np.hypot(*target.shape))
    for place, label in enumerate(labels):
        inside = target == label
        if not inside.all():
            found[place] = (distance_transform_edt(~inside) - distance_transform_edt(inside)) / diagonal
    return found
