"""Partners: which image of the target goes with an image of the source, so that both are drawn evenly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from headstart import seeds
from headstart.training.pictures import Pictures


class Partners:
    """With each image of the source one of the target, which depends on nothing but the seed and (occasion, index).

    Every pass over the target takes each of its images once.
    """

    def __init__(self, target: Pictures, *, images: int, seed: int) -> None:
        """images: how many the source has."""
        self.target, self.images, self.seed = target, images, seed

    def place(self, occasion: int, index: int) -> int:
        """Return the position of the target's image."""
        targets = len(self.target.dataset)
        place = occasion * self.images + int(_order(self.seed, "pair", occasion, self.images)[index])
        pass_, position = divmod(place, targets)
        return int(_order(self.seed, "target", pass_, targets)[position])

    def picture(self, occasion: int, index: int) -> np.ndarray:
        """Return the target's image, uint8 [H, W, C]."""
        return self.target[self.place(occasion, index)]


@lru_cache(maxsize=8)
def _order(seed: int, kind: str, number: int, count: int) -> np.ndarray:
    """Return int64 [count], a permutation that depends on the arguments alone."""
    return seeds.generator(seed, kind, number).permutation(count)
