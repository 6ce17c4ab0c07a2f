"""Domain pictures: with each source image one of the target, so that both are drawn evenly, whatever their numbers."""

from __future__ import annotations

import numpy as np
import torch

from headstart import seeds
from headstart.data.augment import Augment, Policy, Preset
from headstart.training.partners import Partners
from headstart.training.pictures import Pictures, TrainImages

STRONG: Preset = "strong"


class PairedImages(TrainImages):
    """Source images by (occasion, index), each with a target image; of that a strongly augmented view where asked for.

    The items are those of `TrainImages`, then the position of the target's image, the image, and the strong view.
    Without `partners` there is but the target, and each image is its own.
    """

    def __init__(self, pictures: Pictures, weights: np.ndarray, partners: Partners | None, *, strong: bool,
                 preset: Preset, policy: Policy = "preset", erasing: float | None = None, level: int = 0,
                 seed: int) -> None:
        super().__init__(pictures, weights, preset=preset, policy=policy, erasing=erasing, level=level, seed=seed)
        self.partners = partners
        self.strong = Augment(STRONG, pictures.preprocessing) if strong else None

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        occasion, index = key
        item = super().__getitem__(key)
        if self.partners is None:
            return (*item, torch.tensor(index), item[0], *self._strongly(self.pictures[index], occasion, index))
        place = self.partners.place(occasion, index)
        picture = self.partners.target[place]
        view = self.augment(picture, seed=seeds.derive(self.seed, "augment target", occasion, index))
        return (*item, torch.tensor(place), view, *self._strongly(picture, occasion, index))

    def _strongly(self, picture: np.ndarray, occasion: int, index: int) -> list[torch.Tensor]:
        """Return the strongly augmented view, if one is wanted."""
        if self.strong is None:
            return []
        return [self.strong(picture, seed=seeds.derive(self.seed, "augment strongly", occasion, index))]
