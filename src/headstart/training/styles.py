"""Styles: the light and the colours of a target's images, for those of the source."""

from __future__ import annotations

import numpy as np

from headstart.data.fourier import in_style_of
from headstart.training.partners import Partners

# H and W pixels, C channels


class Styles:
    """Pictures in the style of their partners."""

    def __init__(self, partners: Partners, *, beta: float) -> None:
        self.partners, self.beta = partners, beta

    def __call__(self, picture: np.ndarray, occasion: int, index: int) -> np.ndarray:
        """Return uint8 [H, W, C] from the same."""
        style = self.partners.picture(occasion, index)
        resized = self.partners.target.preprocessing.resize(style, (picture.shape[0], picture.shape[1]))
        return in_style_of(picture, resized, beta=self.beta)
