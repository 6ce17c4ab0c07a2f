"""Mixup: each image is blended with another one, and so are their labels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torchvision.transforms.v2 import MixUp

from headstart.mixes.mix import Mix

# B images, C classes


class Mixup(Mix):
    """share * image + (1 - share) * the image before it in the batch; one share a batch, drawn from Beta(alpha, alpha).

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """

    def mixer(self) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """Return torchvision's transform."""
        return MixUp(alpha=self.alpha)
