"""Regions: which pixels of a picture an object takes, by its outlines, its mask or its box.

# K objects, P points, H height, W width in pixels

A pixel belongs to a region where its centre does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.types import Instance, Rle


def region_of(found: Instance, size: tuple[int, int], original: tuple[int, int]) -> np.ndarray | None:
    """Return bool [H, W], the pixels of the object, or None where it has no outline and no mask that holds a pixel.

    size: H, W of the picture as it is used. original: height and width of the picture in which the object was marked.
    A mask of other measures than `original` is none of this picture, and counts as no mask.
    """
    if found.polygons:
        factors = np.array([size[1] / original[1], size[0] / original[0]])
        parts = [_inside(np.asarray(points, np.float64).reshape(-1, 2) * factors, size) for points in found.polygons]
        region = np.logical_or.reduce(parts)
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


def _inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool [H, W], the pixels whose centre the closed outline of `points` [P, 2] holds, by the even-odd rule."""
    height, width = size
    (x, y), (next_x, next_y) = points.T, np.roll(points, -1, axis=0).T
    centres = np.arange(height) + 0.5
    edge, row = np.nonzero((y[:, None] <= centres) != (next_y[:, None] <= centres))
    across = x[edge] + (centres[row] - y[edge]) * (next_x - x)[edge] / (next_y - y)[edge]
    first = np.clip(np.ceil(across - 0.5), 0, width).astype(int)
    turns = np.zeros((height, width + 1), np.int64)
    np.add.at(turns, (row, first), 1)
    return turns.cumsum(axis=1)[:, :width] % 2 == 1
