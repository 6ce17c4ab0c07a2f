"""Regions: which pixels of a picture an object takes, by its outlines, its mask or its box.

# K objects, P points, H height, W width in pixels

A pixel belongs to a region where its centre does: to an outline by the even-odd rule, to an object where any of its
outlines holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headstart.pixels import Window
from headstart.types import Instance, Rle

BAND = 4_000_000
"""Pixels, and edges times rows, that are drawn at once."""


def region_of(found: Instance, size: tuple[int, int], original: tuple[int, int]) -> np.ndarray | None:
    """Return bool [H, W], the pixels of the object, or None where it has no outline and no mask that holds a pixel.

    size: H, W of the picture as it is used. original: height and width of the picture in which the object was marked.
    A mask of other measures than `original` is none of this picture, and counts as no mask.
    """
    if found.polygons:
        factors = np.array([size[1] / original[1], size[0] / original[0]])
        region = np.zeros(size, bool)
        for points in found.polygons:
            for rows, columns, held in filled(np.asarray(points, np.float64).reshape(-1, 2) * factors, size):
                region[rows, columns] |= held
    elif found.rle is not None and (found.rle.height, found.rle.width) == original:
        region = resized(decoded(found.rle), size)
    else:
        return None
    return region if region.any() else None


def rectangle(box: Sequence[float] | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool [H, W], the pixels whose centre lies in the box (left, top, right, bottom)."""
    left, top, right, bottom = (max(0, int(np.ceil(side - 0.5))) for side in box)
    region = np.zeros(size, bool)
    region[top:bottom, left:right] = True
    return region


def decoded(rle: Rle) -> np.ndarray:
    """Return bool [H, W], the mask of its run lengths."""
    values = np.arange(len(rle.counts)) % 2 == 1
    return np.repeat(values, rle.counts).reshape(rle.width, rle.height).T


def cropped(mask: Rle, window: Window) -> np.ndarray:
    """Return bool [h, w], the part of a mask in a window of its picture. No more than its columns are decoded."""
    left, top, right, bottom = window
    ends = np.cumsum(np.array(mask.counts, np.int64))
    inside = np.diff(np.clip(np.concatenate([[0], ends]), left * mask.height, right * mask.height))
    columns = np.repeat(np.arange(len(inside)) % 2 == 1, inside).reshape(right - left, mask.height)
    return columns[:, top:bottom].T


def window_of(rle: Rle) -> tuple[int, np.ndarray]:
    """Return the first column that has a pixel, and bool [H, W'], the mask from there to the last that has one."""
    ends = np.cumsum(np.array(rle.counts, np.int64))
    starts = np.concatenate([[0], ends[:-1]])
    marks = np.flatnonzero((np.arange(len(ends)) % 2 == 1) & (ends > starts))
    if not len(marks):
        return 0, np.zeros((rle.height, 0), bool)
    left, right = int(starts[marks[0]]) // rle.height, (int(ends[marks[-1]]) - 1) // rle.height + 1
    return left, cropped(rle, (left, 0, right, rle.height))


def resized(regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool [..., H', W'] of bool [..., H, W]: each pixel is the one on which its centre falls."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int)
                     for new, old in zip(size, regions.shape[-2:], strict=True))
    return regions[..., rows[:, None], columns]


def extents(regions: np.ndarray) -> np.ndarray:
    """Return float32 [K, 4], left, top, right and bottom edge of bool [K, H, W]; all of it where none is true."""
    height, width = regions.shape[-2:]
    columns, rows = regions.max(axis=1), regions.max(axis=2)
    return np.stack([columns.argmax(1), rows.argmax(1), width - columns[:, ::-1].argmax(1),
                     height - rows[:, ::-1].argmax(1)], axis=1).astype(np.float32)


def filled(points: np.ndarray, size: tuple[int, int]) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Give the pixels, of a picture of H, W, whose centre the closed outline of `points` [P, 2] holds: even-odd rule.

    As rows, columns and bool [rows, columns], one band of rows after the other, no more than the outline reaches over:
    memory does not grow with the picture, nor with the points.
    """
    height, width = size
    following = np.roll(points, -1, axis=0)
    # From top to bottom whichever way it is drawn: an edge there and back crosses each row in one and the same place.
    falling = (points[:, 1] <= following[:, 1])[:, None]
    upper, lower = np.where(falling, points, following), np.where(falling, following, points)
    first, last = (_places(ends[:, 1], 0, height) for ends in (upper, lower))
    crossing = first < last
    upper, lower, first, last = upper[crossing], lower[crossing], first[crossing], last[crossing]
    left, right = _places(np.array([points[:, 0].min(), points[:, 0].max()]), 0, width).tolist()
    if not len(first) or left == right:
        return
    slope = (lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1])
    top, bottom, wide = int(first.min()), int(last.max()), right - left + 1
    step = max(1, BAND // max(wide, len(first)))
    for start in range(top, bottom, step):
        stop = min(start + step, bottom)
        begins = np.clip(first, start, stop)
        counts = np.clip(last, start, stop) - begins
        edge = np.repeat(np.arange(len(counts)), counts)
        row = np.arange(len(edge)) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
        across = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * slope[edge]
        turns = np.bincount((row - start) * wide + _places(across, left, right) - left, minlength=(stop - start) * wide)
        odd = (turns & 1).astype(bool).reshape(stop - start, wide)
        yield slice(start, stop), slice(left, right), np.logical_xor.accumulate(odd, axis=1)[:, :-1]


def _places(edges: np.ndarray, least: int, most: int) -> np.ndarray:
    """Return the first pixel whose centre lies at each edge or behind it, int64, from `least` to `most`."""
    return np.clip(np.ceil(edges - 0.5), least, most).astype(np.int64)
