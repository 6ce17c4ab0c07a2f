"""CutMix: a box of each image is taken from another one; the labels are mixed by area."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torchvision.transforms.v2 import CutMix as BoxMix

from headstart.mixes.mix import Mix

# B images, C classes


class CutMix(Mix):
    """A box whose area is about a share from Beta(alpha, alpha), filled from the image before it in the batch.

    The box is the same in the whole batch and cut off at the border; labels and weights are mixed by its pixels.
    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019.
    """

    alpha: float = Field(1.0, gt=0, le=10)
    """Both parameters of the Beta distribution of the shares; at 1, as in the paper, all shares are equally likely."""

    def mixer(self) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """Return torchvision's transform."""
        return BoxMix(alpha=self.alpha)
