"""FourierLesson: a segmenter learns from the source's images and masks, each in the style of one of the target."""

from __future__ import annotations

import numpy as np

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_masks import Labelled
from headstart.data.dataset import Splits
from headstart.data.fourier import in_style_of
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.domain_plan import FourierPlan
from headstart.training.imbalance import train_weights
from headstart.training.mask_pictures import MaskItem, MaskPictures, TrainMasks
from headstart.training.partners import partner
from headstart.training.target_lesson import TargetLesson
from headstart.training.whole_pictures import WholePictures


class StyledMasks(TrainMasks):
    """Source images with masks by (occasion, index), each in the style of a target image before it is augmented.

    Which target image it is depends on nothing but the key.
    """

    def __init__(self, pictures: MaskPictures, weights: np.ndarray, target: WholePictures, *, beta: float,
                 preset: Preset, level: int, seed: int) -> None:
        super().__init__(pictures, weights, preset=preset, level=level, seed=seed)
        self.target, self.beta = target, beta

    def __getitem__(self, key: tuple[int, int]) -> MaskItem:
        occasion, index = key
        item = self.styled(occasion, index)
        image, classes = self.augment(item, seed=seeds.derive(self.seed, "augment", occasion, index))
        return MaskItem(image, classes, float(self.weights[index]), index)

    def styled(self, occasion: int, index: int) -> Labelled:
        """Return a source image in the target's style, not augmented, with its classes."""
        item = self.pictures.labelled(index)
        place = partner(occasion, index, images=len(self), targets=len(self.target.dataset), seed=self.seed)
        style = self.target.preprocessing.resize(self.target[place], (item.picture.shape[0], item.picture.shape[1]))
        return Labelled(in_style_of(item.picture, style, beta=self.beta), item.classes)


class FourierLesson(TargetLesson):
    """The source's loss on images in the target's style."""

    plan: FourierPlan

    def __init__(self, model: Model, splits: Splits, plan: FourierPlan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        self._maps = None  # an image varies with its style, even where nothing else augments it

    def examples(self, level: int) -> StyledMasks:
        """Return the augmented training images."""
        weights = train_weights(self.pictures.dataset, "none")
        return StyledMasks(self.pictures, weights, self.target_pictures, beta=self.plan.beta, preset=self.plan.augment,
                           level=level, seed=self.context.seed)
