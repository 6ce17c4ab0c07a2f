"""Pictures for a teacher of boxes: with each source image one of the target, as the teacher and the student see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_masks import Recolour
from headstart.data.transforms import to_tensor
from headstart.training.box_pictures import BoxItem, BoxPictures, TrainBoxes
from headstart.training.partners import Partners

MIRRORING: tuple[Preset, ...] = ("standard", "strong")
"""Presets that know no left and right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtBoxItem(BoxItem):
    """One image of the source with its boxes, and one of the target."""

    plain: torch.Tensor
    """uint8 [C, H, W], the target's image as it is, for the teacher."""
    shown: torch.Tensor
    """uint8 [C, H, W], the same in other colours, for the student."""
    mirrored: bool
    """Whether left and right of it are exchanged."""


class TaughtBoxes(TrainBoxes):
    """Augmented source images by (occasion, index), each with its partner of the target."""

    def __init__(self, pictures: BoxPictures, weights: np.ndarray, *, partners: Partners, preset: Preset, level: int,
                 seed: int) -> None:
        super().__init__(pictures, weights, preset=preset, level=level, seed=seed)
        self.partners = partners
        self.recolour = Recolour(channels=pictures.preprocessing.channels)
        self.mirrors = preset in MIRRORING

    def __getitem__(self, key: tuple[int, int]) -> TaughtBoxItem:
        occasion, index = key
        item = super().__getitem__(key)
        plain = to_tensor(self.partners.picture(occasion, index))
        seed = seeds.derive(self.seed, "augment target", occasion, index)
        shown, mirrored = self.recolour(plain, seed=seed), self.mirrors and seed % 2 == 1
        return TaughtBoxItem(item.image, item.boxes, item.labels, item.weight, item.index, plain=plain,
                             shown=shown.flip(-1) if mirrored else shown, mirrored=mirrored)
