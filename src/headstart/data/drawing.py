"""Drawing: from outlines and run lengths to the pixels that they take.

# H height, W width in pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.data.masks import BadMask
from headstart.data.regions import cropped, filled, window_of
from headstart.pixels import Window
from headstart.types import IGNORED, Instance, MaskShapes


def drawn(mask: MaskShapes) -> np.ndarray:
    """Return uint8 [H, W]: class indices, and IGNORED where a pixel is of no class.

    Smaller objects lie over larger ones, of equal ones the later; crowds lie below all.
    Raises BadMask where the run lengths of an object are those of a picture of another size.
    """
    canvas = np.full(mask.size, mask.unmarked, np.uint8)
    for found in layered(mask.objects):
        paint(canvas, found, IGNORED if found.crowd else found.label)
    return canvas


def layered(objects: Sequence[Instance]) -> list[Instance]:
    """Return the objects from the lowest to the topmost."""
    return sorted(objects, key=lambda found: (not found.crowd, -_area(found)))


def paint(canvas: np.ndarray, found: Instance, value: int) -> None:
    """Set the pixels [H, W] of an object to a value, in place. Raises BadMask for run lengths of another size."""
    for points in found.polygons:
        for rows, columns, held in filled(np.asarray(points, np.float64).reshape(-1, 2), canvas.shape):
            canvas[rows, columns][held] = value
    if found.rle is None or found.polygons:
        return
    if (found.rle.height, found.rle.width) != canvas.shape:
        raise BadMask(f"a mask of {found.rle.width}x{found.rle.height} pixels in a picture of "
                      f"{canvas.shape[1]}x{canvas.shape[0]}")
    left, region = window_of(found.rle)
    canvas[:, left:left + region.shape[1]][region] = value


def shown_in(found: Instance, window: Window) -> np.ndarray:
    """Return bool [h, w], the pixels of an object in a window of its picture; none of a mere box."""
    left, top, right, bottom = window
    if found.rle is not None and not found.polygons:
        return cropped(found.rle, window)
    held = np.zeros((bottom - top, right - left), bool)
    shifted = tuple(tuple((np.array(points, np.float64).reshape(-1, 2) - [left, top]).ravel().tolist())
                    for points in found.polygons)
    paint(held, replace(found, polygons=shifted), 1)
    return held


def _area(found: Instance) -> float:
    """Return the pixels that the outlines hold, or the mask."""
    if not found.polygons:
        return float(sum(found.rle.counts[1::2])) if found.rle else 0.0
    area = 0.0
    for points in found.polygons:
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        area += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return area
