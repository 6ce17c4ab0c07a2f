"""Styles: the light and the colours of a target's images, for those of the source."""

from __future__ import annotations

import numpy as np

from headstart.data.fourier import in_style_of
from headstart.training.partners import partner
from headstart.training.whole_pictures import WholePictures

# H and W pixels, C channels


class Styles:
    """Pictures in the style of one of the target; which one depends on nothing but (occasion, index)."""

    def __init__(self, target: WholePictures, *, beta: float, images: int, seed: int) -> None:
        """images: of the source."""
        self.target, self.beta, self.images, self.seed = target, beta, images, seed

    def __call__(self, picture: np.ndarray, occasion: int, index: int) -> np.ndarray:
        """Return uint8 [H, W, C] from the same."""
        place = partner(occasion, index, images=self.images, targets=len(self.target.dataset), seed=self.seed)
        style = self.target.preprocessing.resize(self.target[place], (picture.shape[0], picture.shape[1]))
        return in_style_of(picture, style, beta=self.beta)
