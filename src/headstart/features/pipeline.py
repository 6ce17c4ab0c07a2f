"""Pipeline: decode pictures in threads, a few batches ahead of what computes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from headstart.data.transforms import Preprocessing
from headstart.errors import DataError
from headstart.types import ImageSource

# B images in a batch, S pixels a side, C channels

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pictures:
    """A batch of decoded pictures."""

    pixels: np.ndarray
    """uint8 [B, S, S, C]; black where a picture could not be read."""
    faults: dict[int, str] = field(default_factory=dict)
    """Position among all sources -> why that picture could not be read."""


class Decoded:
    """Pictures in memory, so that backbones with the same input decode each of them once; for threads, too.

    It holds `most` bytes at most; what has no room is decoded each time.
    """

    def __init__(self, most: int = 2**30) -> None:
        self.most = most
        self._kept: dict[tuple[str, str], np.ndarray] = {}
        self._bytes = 0

    def pixels(self, preprocessing: Preprocessing, source: ImageSource, content: str) -> np.ndarray:
        """Return `preprocessing.pixels(source)`, uint8 [S, S, C]. content: the hash of the file's bytes."""
        key = (geometry(preprocessing), content)
        found = self._kept.get(key)
        if found is None:
            found = preprocessing.pixels(source)
            if self._bytes + found.nbytes <= self.most:
                self._kept[key] = found
                self._bytes += found.nbytes
        return found

    def clear(self) -> None:
        """Forget all pictures."""
        self._kept, self._bytes = {}, 0


def geometry(preprocessing: Preprocessing) -> str:
    """Return what decides the pixels of a picture: all but the normalisation."""
    return preprocessing.model_dump_json(exclude={"mean", "std"})


def decode_batch(preprocessing: Preprocessing, sources: Sequence[ImageSource], rows: range, *,
                 tolerant: bool) -> Pictures:
    """Decode, resize and cut `sources[rows]`. Raises DataError at the first that can't be read, unless tolerant.

    A source that has `pixels(preprocessing)` of its own is asked for them.
    """
    side = preprocessing.size
    batch = Pictures(np.zeros((len(rows), side, side, preprocessing.channels), np.uint8))
    for place, row in enumerate(rows):
        try:
            source = sources[row]
            own = getattr(source, "pixels", None)
            batch.pixels[place] = own(preprocessing) if own else preprocessing.pixels(source)
        except DataError as error:
            if not tolerant:
                raise
            batch.faults[row] = str(error)
    return batch


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, threads: int) -> Iterator[Result]:
    """Yield `work(item)` for each item, in order, computed by threads at most 2 * threads items ahead.

    An error of `work` is raised at its item's turn; what has not begun by then is dropped.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="headstart-pictures") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
