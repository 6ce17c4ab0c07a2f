"""Measurements: what one full decode tells of each image: whether it can be read, its size, pixels and thumbnail."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.duplicates import thumbnail
from headstart.events import Finished, Listen, Progress, Started
from headstart.images import ImageError, ImageInfo, decode, probe
from headstart.types import Sample

STEP = "checking images"
ONE_COLOUR = 3
"""Largest difference between two pixels of a channel in an image of one colour; JPEG leaves so much."""
AHEAD = 64
"""Images that may wait for a worker at a time; bounds the memory of the queue."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One readable image."""

    sample: Sample
    info: ImageInfo
    width: int
    height: int
    """In pixels, upright."""
    pixel_hash: str
    """Hex SHA-256 over the size and the decoded RGB pixels: equal for the same picture in two files."""
    thumbnail: np.ndarray
    """uint8 [32, 32], grey."""
    mean: float
    """Grey level, 0..255."""
    one_colour: bool
    """Whether no channel varies by more than ONE_COLOUR."""


@dataclass(frozen=True)
class Measurements:
    """Every sample of a data set, in its order, as readable or not."""

    readable: tuple[Measured, ...]
    unreadable: dict[str, ImageError]
    """By sample id."""


def measure_all(dataset: Dataset, *, listen: Listen, workers: int = 2) -> Measurements:
    """Decode every image once, in `workers` threads (Pillow decodes without the interpreter's lock)."""
    started = time.monotonic()
    listen(Started(STEP, len(dataset), "images"))
    readable, unreadable = [], {}
    for done, (sample, outcome) in enumerate(_outcomes(dataset, workers), start=1):
        if isinstance(outcome, ImageError):
            unreadable[sample.id] = outcome
        else:
            readable.append(outcome)
        listen(Progress(STEP, done, f"{len(unreadable)} unreadable" if unreadable else ""))
    listen(Finished(STEP, time.monotonic() - started))
    return Measurements(tuple(readable), unreadable)


def measure(sample: Sample) -> Measured | ImageError:
    """Decode one image in full; return what it is, or why it can't be read."""
    source = sample.source if isinstance(sample.source, Path) else _Once(sample.source)
    try:
        pixels = decode(source)
        info = probe(source)
    except ImageError as error:
        return error
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height}\n".encode())
    digest.update(pixels.data)
    small = thumbnail(pixels)
    # The extrema of all pixels are slow; where the thumbnail varies, they are not needed.
    one_colour = bool(np.ptp(small) <= 2 * ONE_COLOUR and np.ptp(pixels, axis=(0, 1)).max() <= ONE_COLOUR)
    return Measured(sample, info, width, height, digest.hexdigest(), small, float(small.mean()), one_colour)


class _Once:
    """A source whose bytes are read a single time, under the name of where they come from."""

    def __init__(self, source: Callable[[], bytes]) -> None:
        self.source = source
        self.data: bytes | None = None

    def __call__(self) -> bytes:
        if self.data is None:
            self.data = self.source()
        return self.data

    def __str__(self) -> str:
        return str(self.source)


def _outcomes(dataset: Dataset, workers: int) -> Iterator[tuple[Sample, Measured | ImageError]]:
    """Yield each sample with its outcome, in order."""
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="check") as pool:
        for start in range(0, len(dataset), AHEAD):
            block = dataset.samples[start:start + AHEAD]
            yield from zip(block, pool.map(measure, block), strict=True)
