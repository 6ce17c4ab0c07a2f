"""Pictures without labels: whole, at the size of the input, as `Preprocessing.whole` gives them."""

from __future__ import annotations

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing
from headstart.training.pictures import Pictures

# N images


class WholePictures(Pictures):
    """The pictures of a target, of which nothing but the pixels is known."""

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing, *, budget: float) -> None:
        super().__init__(dataset, preprocessing, budget=budget)
        self._shapes: list[tuple[int, int]] = [(0, 0)] * len(dataset)

    def aspects(self) -> np.ndarray | None:
        """Return int64 [N], a number for each size that occurs; None if all pictures have one. Known once decoded."""
        kinds = sorted(set(self._shapes))
        return np.array([kinds.index(shape) for shape in self._shapes]) if len(kinds) > 1 else None

    def _reduced(self, position: int, picture: np.ndarray) -> np.ndarray:
        small = self.preprocessing.whole(picture)
        self._shapes[position] = (small.shape[0], small.shape[1])
        return small
