"""Mix: the contract of making two training images and their labels into one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import BeforeValidator, Field, PlainSerializer

from headstart.catalog import Catalog
from headstart.part import Part

# B images, C classes


class Mix(Part):
    """Mixes a batch with itself, in float32. Draws from torch's global generator, which the learner seeds each step."""

    alpha: float = Field(0.2, gt=0, le=10)
    """Both parameters of the Beta distribution of the shares; small ones leave most images nearly as they are."""

    @abstractmethod
    def mixer(self) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """Return what mixes images [B, channels, H, W] and labels [B, columns] by the same shares."""

    def __call__(self, images: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor,
                 ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return images [B, channels, H, W], targets [B, C] and weights [B], mixed; a single image stays as it is.

        weights * targets is what is mixed: a loss that is linear in the targets then is the mix of the weighted losses.
        """
        if len(images) < 2:
            return images, targets, weights
        # Each label brings its image's weight along: a share of 0.3 of an image of weight 0 is no label at all.
        mixed, labels = self.mixer()(images, torch.cat([targets * weights[:, None], weights[:, None]], dim=1))
        weighted, carried = labels[:, :-1], labels[:, -1]
        return mixed, torch.where(carried[:, None] > 0, weighted / carried[:, None], targets), carried


MIXES: Catalog[Mix] = Catalog("mixes", Mix)  # type: ignore[type-abstract]
ChosenMix = Annotated[Mix, BeforeValidator(MIXES.validated), PlainSerializer(MIXES.plain)]
