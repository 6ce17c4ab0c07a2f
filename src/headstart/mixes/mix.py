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
        """Return images [B, channels, H, W], targets [B, C] and weights [B], mixed; a single image stays as it is."""
        if len(images) < 2:
            return images, targets, weights
        # The weights are mixed like one more class.
        mixed, labels = self.mixer()(images, torch.cat([targets, weights[:, None]], dim=1))
        return mixed, labels[:, :-1], labels[:, -1]


MIXES: Catalog[Mix] = Catalog("mixes", Mix)  # type: ignore[type-abstract]
ChosenMix = Annotated[Mix, BeforeValidator(MIXES.validated), PlainSerializer(MIXES.plain)]
