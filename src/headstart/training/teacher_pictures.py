"""Teacher pictures: with each source image one of the target, as a teacher sees it, and mixed as its student does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_masks import Recolour
from headstart.data.class_mix import laid_upon
from headstart.data.transforms import to_tensor
from headstart.training.mask_pictures import MaskItem, MaskPictures, TrainMasks
from headstart.training.partners import Partners


@dataclass(frozen=True, slots=True)
class TaughtItem(MaskItem):
    """One image of the source with the class of each of its pixels, and one of the target."""

    plain: torch.Tensor
    """uint8 [C, H, W], the target's image as it is, for the teacher."""
    shown: torch.Tensor
    """uint8 [C, H, W], the same with half of the source image's classes on it, then in other colours, for the student;
    each pixel is where it was."""
    laid: torch.Tensor
    """uint8 [H, W], the classes of what was laid on it, IGNORED elsewhere."""


class TaughtMasks(TrainMasks):
    """Augmented source images by (occasion, index), each with its partner of the target."""

    def __init__(self, pictures: MaskPictures, weights: np.ndarray, *, partners: Partners, preset: Preset,
                 level: int, seed: int) -> None:
        super().__init__(pictures, weights, preset=preset, level=level, seed=seed)
        self.partners = partners
        self.recolour = Recolour(channels=pictures.preprocessing.channels)

    def __getitem__(self, key: tuple[int, int]) -> TaughtItem:
        occasion, index = key
        item = super().__getitem__(key)
        plain = to_tensor(self.partners.picture(occasion, index))
        mixed, laid = laid_upon(plain, item.image, item.classes,
                                seed=seeds.derive(self.seed, "mix classes", occasion, index))
        shown = self.recolour(mixed, seed=seeds.derive(self.seed, "augment target", occasion, index))
        return TaughtItem(item.image, item.classes, item.weight, item.index, plain, shown, laid)
