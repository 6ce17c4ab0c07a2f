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


def decode_batch(preprocessing: Preprocessing, sources: Sequence[ImageSource], rows: range, *,
                 tolerant: bool) -> Pictures:
    """Decode, resize and cut `sources[rows]`. Raises DataError at the first that can't be read, unless tolerant."""
    side = preprocessing.size
    batch = Pictures(np.zeros((len(rows), side, side, preprocessing.channels), np.uint8))
    for place, row in enumerate(rows):
        try:
            batch.pixels[place] = preprocessing.pixels(sources[row])
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
