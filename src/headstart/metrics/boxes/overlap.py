"""Overlap: intersection over union of boxes.

# D detections, G objects; boxes are (left, top, right, bottom), edges in pixels
"""

from __future__ import annotations

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return width times height in square pixels. boxes: float [..., 4]."""
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def overlaps(found: np.ndarray, true: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """Return float64 [..., D, G] in 0..1: the intersection over the union of each pair, 0 where both are empty.

    found: float [..., D, 4]. true: float [..., G, 4]. crowd: bool [..., G]; against a crowd the union is the
    detection alone, so that one of its many objects lies fully in it (the rule of COCO's evaluation).
    """
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    one, other = found[..., :, None, :], true[..., None, :, :]
    width = np.minimum(one[..., 2], other[..., 2]) - np.maximum(one[..., 0], other[..., 0])
    height = np.minimum(one[..., 3], other[..., 3]) - np.maximum(one[..., 1], other[..., 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    union = areas(found)[..., :, None] + areas(true)[..., None, :] - shared
    if crowd is not None:
        union = np.where(crowd[..., None, :], areas(found)[..., :, None], union)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
