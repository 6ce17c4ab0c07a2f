"""Mask crops: from the small square of probabilities that a detector gives of an object to its pixels.

# M side of the square, H height, W width in pixels, K objects
"""

from __future__ import annotations

import math

import numpy as np

from headstart.data.run_lengths import encoded
from headstart.types import Rle

LEVEL = 0.5
"""Probability from which on a pixel is of the object."""


def pasted(square: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> Rle:
    """Return the pixels of an object in a picture of height and width `size`.

    square: float [M, M] in 0..1, stretched over the box (left, top, right, bottom) and interpolated bilinearly at the
    centre of each pixel whose centre lies in the box.
    """
    left, top, right, bottom = (float(edge) for edge in box)
    rows = np.arange(max(0, math.ceil(top - 0.5)), min(size[0], math.ceil(bottom - 0.5)))
    columns = np.arange(max(0, math.ceil(left - 0.5)), min(size[1], math.ceil(right - 0.5)))
    if not len(rows) or not len(columns):
        return Rle(size[0], size[1], (size[0] * size[1],))
    values = _weights(rows, top, bottom, len(square)) @ square @ _weights(columns, left, right, len(square)).T
    return encoded(values >= LEVEL, (int(rows[0]), int(columns[0])), size)


def _weights(places: np.ndarray, low: float, high: float, cells: int) -> np.ndarray:
    """Return float64 [P, M]: how much each cell counts at the centre of each pixel."""
    at = ((places + 0.5 - low) / (high - low) * cells - 0.5).clip(0, cells - 1)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, cells - 1)
    weights = np.zeros((len(places), cells))
    rows = np.arange(len(places))
    weights[rows, below] += 1 - (at - below)
    weights[rows, above] += at - below
    return weights
