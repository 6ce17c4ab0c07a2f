"""Slices of large pictures for training: each decoded picture is cut once, and its slices kept, in memory or on disk.

A slice is a sample of its own: it has its part of the boxes, its turn in every epoch, and a place in the maps that a
frozen backbone gives. Which slices there are follows from the headers of the files and the seed, so that a resumed
training has the same ones.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart import seeds
from headstart.data.dataset import Dataset
from headstart.data.slices import Slices, seen_through
from headstart.data.transforms import Preprocessing
from headstart.errors import DataError
from headstart.events import Listen, Note, Progress, Started
from headstart.images import ImageError, Picture, opened, size_of
from headstart.merging import merged
from headstart.pixels import Window
from headstart.training.box_pictures import BoxPictures
from headstart.training.pictures import unreadable
from headstart.types import Detections, Sample

AT_ONCE = 32
"""Slices that are cut before they are stored."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slice comes from."""

    picture: int
    """Position in the split."""
    window: Window
    size: tuple[int, int]
    """Height and width of the picture."""


class SlicedPictures(BoxPictures):
    """What `BoxPictures` is, of the slices of a split. `dataset` has them as samples, picture after picture."""

    def __init__(self, split: Dataset, preprocessing: Preprocessing, slices: Slices, *, budget: float, scratch: Path,
                 seed: int | None) -> None:
        """scratch: folder for slices beyond the budget. seed: draws the slices without objects; None keeps all."""
        self.slices, self.scratch = slices, scratch
        self.places, samples = _cut(split, slices)
        self._count = len(self.places)
        if seed is not None:
            kept = _balanced(samples, self.places, seed)
            if not kept:
                raise DataError("no slice of the training pictures shows an object that was marked alone. Mark some, "
                                "or leave slices out.")
            self.places, samples = [self.places[row] for row in kept], [samples[row] for row in kept]
        super().__init__(replace(split, samples=tuple(samples)), preprocessing, budget=budget)
        self.original = [(bottom - top, right - left) for left, top, right, bottom in
                         (place.window for place in self.places)]
        self._disk: _Disk | None = None

    def load(self, *, step: str, listen: Listen, check: Callable[[], None]) -> int:
        """Decode every file once, one after the other, cut it and keep its slices: see `Pictures.load`."""
        if self.used is not None:
            return self.used
        dropped = self._count - len(self.places)
        listen(Note(f"{step}: {len({place.picture for place in self.places})} pictures give {self._count} slices of up "
                    f"to {self.slices.size} pixels" + (f"; {dropped} without objects are left out" if dropped else "")))
        listen(Started(step, len(self.places), "slices"))
        used, broken = 0, []
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for rows in _by_picture(self.places):
                check()
                try:
                    used += self._keep(rows, pool, self.budget - used)
                except DataError as error:
                    broken.append(str(error))
                listen(Progress(step, rows[-1] + 1))
        if broken:
            raise unreadable(broken, len({place.picture for place in self.places}))
        missing = sum(one is None for one in self._kept) - (len(self._disk) if self._disk else 0)
        if missing:
            listen(Note(f"{missing} of {len(self.places)} slices fit neither into memory nor into {self.scratch}: they "
                        "are cut anew in every epoch, which is slow. Make room there.", "warning"))
        self.used = used
        return used

    def gathered(self, found: Sequence[Detections]) -> list[Detections]:
        """Return what was found in all slices of each picture, merged, in the order of the split."""
        return [merged([found[row] for row in rows], [self.places[row].window for row in rows], self.slices,
                       self.places[rows[0]].size) for rows in _by_picture(self.places)]

    def __getitem__(self, position: int) -> np.ndarray:
        kept = self._kept[position]
        if kept is None and self._disk is not None:
            kept = self._disk.read(position)
        return self._decode(position) if kept is None else kept

    def _decode(self, position: int) -> np.ndarray:
        with self._opened(position) as picture:
            return self._small(picture, position)

    def _opened(self, position: int):  # type: ignore[no-untyped-def]
        settings = self.preprocessing
        return opened(self.dataset.samples[position].source, channels=settings.channels,
                      background=settings.background)

    def _small(self, picture: Picture, position: int) -> np.ndarray:
        return self.preprocessing.whole(picture.region(self.places[position].window))

    def _keep(self, rows: Sequence[int], pool: ThreadPoolExecutor, room: float) -> int:
        """Cut the slices of one picture; return the bytes that were kept in memory."""
        used = 0
        with self._opened(rows[0]) as picture:
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start:start + AT_ONCE]
                for row, small in zip(some, pool.map(lambda row: self._small(picture, row), some), strict=True):
                    if used + small.nbytes <= room:
                        used += small.nbytes
                        self._kept[row] = small
                    else:
                        self._disk = self._disk or _Disk(self.scratch)
                        self._disk.write(row, small)
        return used


class _Disk:
    """Arrays in a file without a name, which the system takes away with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (as long as the training)
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._end = 0

    def __len__(self) -> int:
        return len(self._places)

    def write(self, key: int, array: np.ndarray) -> None:
        """Put an array of uint8 away; where the disk is full, it is left out."""
        data, done = np.ascontiguousarray(array).reshape(-1).data, 0
        try:
            while done < len(data):
                done += os.pwrite(self._file.fileno(), data[done:], self._end + done)
        except OSError:
            return
        self._places[key] = (self._end, array.shape)
        self._end += len(data)

    def read(self, key: int) -> np.ndarray | None:
        """Return the array, or None where there is none. Processes that were forked may read at the same time."""
        if key not in self._places:
            return None
        start, shape = self._places[key]
        found = np.empty(shape, np.uint8)
        view, done = found.reshape(-1).data, 0
        while done < len(view):
            done += os.preadv(self._file.fileno(), [view[done:]], start + done)
        return found


def _cut(split: Dataset, slices: Slices) -> tuple[list[Place], list[Sample]]:
    """Return all slices of all pictures, and each as a sample with its part of the objects."""
    places, samples = [], []
    for number, sample in enumerate(split.samples):
        try:
            size = size_of(sample.source)
        except ImageError:
            size = (1, 1)  # `load` reads it, and names it with all others
        windows = slices.windows(size, name=sample.id)
        for window in windows:
            seen = seen_through(window, sample.objects or ())
            name = sample.id if len(windows) == 1 else f"{sample.id} [{','.join(map(str, window))}]"
            places.append(Place(number, window, size))
            samples.append(replace(sample, id=name, objects=seen, label=tuple(sorted({one.label for one in seen}))))
    return places, samples


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


def _by_picture(places: Sequence[Place]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        groups.setdefault(place.picture, []).append(row)
    return list(groups.values())
