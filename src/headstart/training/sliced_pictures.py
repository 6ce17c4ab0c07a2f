"""Slices of large pictures for training: each decoded picture is cut once, and its slices kept, in memory or on disk.

A slice is a sample of its own: it has its part of what is marked, its turn in every epoch, and a place in the maps that
a frozen backbone gives. Which slices there are follows from the headers of the files and the seed, so that a resumed
training has the same ones.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.slices import Slices
from headstart.errors import DataError
from headstart.events import Listen, Note, Progress, Started
from headstart.images import ImageError, opened, size_of
from headstart.pixels import Window
from headstart.training.pictures import Pictures, unreadable
from headstart.types import Sample

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


class SlicedPictures(Pictures):
    """What `Pictures` is, of the slices of a split: mixed into the pictures of a kind of task.

    `dataset` has them as samples, picture after picture.
    """

    places: list[Place]
    slices: Slices
    scratch: Path
    """Folder for slices beyond the budget."""
    left_out = 0
    """Slices that are not looked at."""
    _disk: _Disk | None = None

    def load(self, *, step: str, listen: Listen, check: Callable[[], None]) -> int:
        """Decode every file once, one after the other, cut it and keep its slices: see `Pictures.load`."""
        if self.used is not None:
            return self.used
        count = len(self.places) + self.left_out
        listen(Note(f"{step}: {len({place.picture for place in self.places})} pictures give {count} slices of up to "
                    f"{self.slices.size} pixels"
                    + (f"; {self.left_out} without objects are left out" if self.left_out else "")))
        listen(Started(step, len(self.places), "slices"))
        used, broken = 0, []
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for rows in by_picture(self.places):
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

    def __getitem__(self, position: int) -> np.ndarray:
        kept = self._kept[position]
        if kept is None and self._disk is not None:
            kept = self._disk.read(position)
        return self._decode(position) if kept is None else kept

    def _decode(self, position: int) -> np.ndarray:
        with self._opened(position) as large:
            return self._small(large, position)

    def _opened(self, position: int) -> contextlib.AbstractContextManager[Any]:
        """Give what the slices of a picture are cut out of. position: of any of its slices."""
        settings = self.preprocessing
        return opened(self.dataset.samples[position].source, channels=settings.channels,
                      background=settings.background)

    def _small(self, large: Any, position: int) -> np.ndarray:
        """Return what is kept of a slice, uint8 [H, W, C]. large: what `_opened` gave."""
        return self.preprocessing.whole(large.region(self.places[position].window))

    def _keep(self, rows: Sequence[int], pool: ThreadPoolExecutor, room: float) -> int:
        """Cut the slices of one picture; return the bytes that were kept in memory."""
        used = 0
        with self._opened(rows[0]) as large:
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start:start + AT_ONCE]
                for row, small in zip(some, pool.map(lambda row: self._small(large, row), some), strict=True):
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


def places_of(split: Dataset, slices: Slices) -> list[Place]:
    """Return all slices of all pictures, picture after picture."""
    places = []
    for number, sample in enumerate(split.samples):
        try:
            size = size_of(sample.source)
        except ImageError:
            size = (1, 1)  # `load` reads it, and names it with all others
        places += [Place(number, window, size) for window in slices.windows(size, name=sample.id)]
    return places


def named(sample: Sample, place: Place) -> str:
    """Return the name of a slice: that of its picture, with the part of it that is looked at."""
    left, top, right, bottom = place.window
    whole = (bottom - top, right - left) == place.size
    return sample.id if whole else f"{sample.id} [{left},{top},{right},{bottom}]"


def by_picture(places: Sequence[Place]) -> list[list[int]]:
    """Return the positions of the slices of each picture."""
    groups: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        groups.setdefault(place.picture, []).append(row)
    return list(groups.values())
