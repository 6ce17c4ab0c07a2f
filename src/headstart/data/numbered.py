"""Numbered objects: pictures in which each pixel bears the number of the object that it belongs to.

# H height, W width in pixels
"""

from __future__ import annotations

import numpy as np

from headstart.types import Box, Rle


def objects_by_number(values: np.ndarray) -> dict[int, tuple[Rle, Box]]:
    """Return the mask of each number but 0 with the tight box around it, by number. values: whole numbers [H, W].

    One pass over the picture, however many objects it has.
    """
    height, width = values.shape
    flat = values.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.concatenate([starts[1:], [flat.size]])
    numbers = flat[starts]
    order = np.argsort(numbers, kind="stable")
    order = order[numbers[order] != 0]
    if not len(order):
        return {}
    kinds, places = np.unique(numbers[order], return_index=True)
    parts = np.split(order, places[1:])
    return {int(kind): (_runs(starts[part], ends[part], height, width), _box(starts[part], ends[part], height))
            for kind, part in zip(kinds, parts, strict=True)}


def _runs(starts: np.ndarray, ends: np.ndarray, height: int, width: int) -> Rle:
    edges = np.stack([starts, ends], axis=1).ravel()
    edges = edges if edges[-1] == height * width else np.append(edges, height * width)
    return Rle(height, width, tuple(np.diff(edges, prepend=0).tolist()))


def _box(starts: np.ndarray, ends: np.ndarray, height: int) -> Box:
    first, last = starts // height, (ends - 1) // height
    # A run that goes on in the next column touches the bottom of one and the top of the other.
    one = first == last
    top, bottom = np.where(one, starts % height, 0).min(), np.where(one, (ends - 1) % height + 1, height).max()
    return float(first.min()), float(top), float(last.max() + 1), float(bottom)
