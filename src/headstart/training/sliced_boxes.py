"""Slices of large pictures with their boxes, for training a detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart import seeds
from headstart.data.dataset import Dataset
from headstart.data.slices import Slices, seen_through
from headstart.data.transforms import Preprocessing
from headstart.errors import DataError
from headstart.merging import merged
from headstart.training.box_pictures import BoxPictures
from headstart.training.sliced_pictures import Place, SlicedPictures, by_picture, named, places_of
from headstart.types import Detections, Sample


class SlicedBoxes(SlicedPictures, BoxPictures):
    """What `BoxPictures` is, of the slices of a split."""

    def __init__(self, split: Dataset, preprocessing: Preprocessing, slices: Slices, *, budget: float, scratch: Path,
                 seed: int | None, masks: bool = False) -> None:
        """scratch: folder for slices beyond the budget. seed: draws the slices without objects; None keeps all.

        masks: whether the pixels of each object are to be learned, too.
        """
        self.slices, self.scratch = slices, scratch
        self.places = places_of(split, slices)
        samples = [_part(split.samples[place.picture], place, masks=masks) for place in self.places]
        if seed is not None:
            kept = _balanced(samples, self.places, seed)
            if not kept:
                raise DataError("no slice of the training pictures shows an object that was marked alone. Mark some, "
                                "or leave slices out.")
            self.left_out = len(samples) - len(kept)
            self.places, samples = [self.places[row] for row in kept], [samples[row] for row in kept]
        super().__init__(replace(split, samples=tuple(samples)), preprocessing, budget=budget)
        self.original = [(bottom - top, right - left) for left, top, right, bottom in
                         (place.window for place in self.places)]

    def gathered(self, found: Sequence[Detections]) -> list[Detections]:
        """Return what was found in all slices of each picture, merged, in the order of the split."""
        return [merged([found[row] for row in rows], [self.places[row].window for row in rows], self.slices,
                       self.places[rows[0]].size) for rows in by_picture(self.places)]

    def sizes(self) -> list[tuple[int, int]]:
        """Return height and width of each picture of the split."""
        return [self.places[rows[0]].size for rows in by_picture(self.places)]


def _part(sample: Sample, place: Place, *, masks: bool) -> Sample:
    """Return a slice as a sample, with its part of the objects."""
    seen = seen_through(place.window, sample.objects or (), masks=masks)
    return replace(sample, id=named(sample, place), objects=seen, label=tuple(sorted({one.label for one in seen})))


def _balanced(samples: Sequence[Sample], places: Sequence[Place], seed: int) -> list[int]:
    """Return the slices to learn from: all that show objects, and of the others of large pictures as many at most.

    A picture that is one slice stays, whatever it shows. A slice that shows crowds alone teaches nothing of either.
    """
    pictures = [place.picture for place in places]
    alone = {picture for picture, count in Counter(pictures).items() if count == 1}
    shows = [any(not one.crowd for one in sample.objects or ()) for sample in samples]
    empty = [row for row, sample in enumerate(samples) if not sample.objects and pictures[row] not in alone]
    most = max(1, sum(shows))
    if len(empty) > most:
        drawn = seeds.generator(seed, "slices").permutation(len(empty))[:most]
        empty = [empty[place] for place in drawn]
    return sorted({row for row in range(len(samples)) if shows[row] or pictures[row] in alone} | set(empty))
