"""Slices of large pictures with the class of each pixel, for training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.blending import own_parts
from headstart.data.dataset import Dataset
from headstart.data.pixel_classes import classes_of
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.images import Picture
from headstart.training.mask_pictures import MaskPictures
from headstart.training.sliced_pictures import SlicedPictures, by_picture, named, places_of
from headstart.types import IGNORED


class SlicedMasks(SlicedPictures, MaskPictures):
    """What `MaskPictures` is, of the slices of a split."""

    def __init__(self, split: Dataset, preprocessing: Preprocessing, slices: Slices, *, budget: float, scratch: Path,
                 once: bool) -> None:
        """scratch: folder for slices beyond the budget. once: every pixel counts in one slice alone, that in which it
        lies farthest inside; in the others it is ignored.
        """
        self.slices, self.scratch, self._whole = slices, scratch, split.samples
        self.places = places_of(split, slices)
        self._counted = [place.window for place in self.places]
        """The part of each slice, in pixels of the picture, that is of some class."""
        if once:
            self._counted = [part for rows in by_picture(self.places)
                             for part in own_parts([self.places[row].window for row in rows])]
        # All slices have the mask of their picture, of which their part is read.
        samples = [replace(split.samples[place.picture], id=named(split.samples[place.picture], place))
                   for place in self.places]
        super().__init__(replace(split, samples=tuple(samples)), preprocessing, budget=budget)

    def gathered(self, found: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the confusion of each picture of the split, the sum of those of its slices."""
        return [np.sum([found[row] for row in rows], axis=0) for rows in by_picture(self.places)]

    @contextlib.contextmanager
    def _opened(self, position: int) -> Iterator[tuple[Picture, np.ndarray]]:
        with super()._opened(position) as picture:
            yield picture, classes_of(self._whole[self.places[position].picture], picture.size)

    def _small(self, large: tuple[Picture, np.ndarray], position: int) -> np.ndarray:
        picture, classes = large
        left, top, right, bottom = window = self.places[position].window
        counted = np.full((bottom - top, right - left), IGNORED, np.uint8)
        begin, above, end, below = self._counted[position]
        counted[above - top:below - top, begin - left:end - left] = classes[above:below, begin:end]
        return self._both(position, picture.region(window), counted)
