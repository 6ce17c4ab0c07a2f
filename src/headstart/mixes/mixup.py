"""Mixup: each image is blended with another one, and so are their labels."""

from __future__ import annotations

import torch
from torchvision.transforms.v2 import MixUp

from headstart.mixes.mix import Mix

# B images, C classes


class Mixup(Mix):
    """share * image + (1 - share) * the image before it in the batch; one share a batch, drawn from Beta(alpha, alpha).

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """

    def __call__(self, images: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor,
                 ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the blended images, targets and weights; a single image stays as it is."""
        if len(images) < 2:
            return images, targets, weights
        # The weights are mixed like one more class.
        mixed, labels = MixUp(alpha=self.alpha)(images, torch.cat([targets, weights[:, None]], dim=1))
        return mixed, labels[:, :-1], labels[:, -1]
