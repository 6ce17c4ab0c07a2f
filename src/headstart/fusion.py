"""Weighted box fusion: one box of several of an object, their mean by score, instead of the surest alone.

Source: Solovyev et al., "Weighted boxes fusion: Ensembling boxes from different object detection models", Image and
Vision Computing 2021, section 3.

# K boxes, F fused ones
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def fused(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, *, iou: float,
          seen: Callable[[np.ndarray], int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return fused boxes float64 [F, 4], their scores float64 [F], and labels int64 [F], the surest first.

    boxes: float64 [K, 4]; scores: 0..1; labels: only boxes of one are fused. iou: from a larger intersection over union
    on, a box joins the fused one that it lies on best. seen: how many looks at the picture could have found a fused
    box. The paper's N; for several models on a whole picture their number. The score of what fewer boxes than
    looks agree on is lowered by their share: min(T, N) / N, equation 5.
    """
    groups = [_of_class(boxes[labels == label], scores[labels == label], iou, seen) for label in np.unique(labels)]
    if not groups:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    together = np.concatenate([group for group, _ in groups])
    rated = np.concatenate([rates for _, rates in groups])
    of = np.repeat(np.unique(labels), [len(rates) for _, rates in groups])
    order = np.argsort(-rated, kind="stable")
    return together[order], rated[order], of[order].astype(np.int64)


def _of_class(boxes: np.ndarray, scores: np.ndarray, iou: float,
              seen: Callable[[np.ndarray], int]) -> tuple[np.ndarray, np.ndarray]:
    centres, sums, totals, counts = (np.zeros((len(boxes), 4)), np.zeros((len(boxes), 4)), np.zeros(len(boxes)),
                                     np.zeros(len(boxes), np.int64))
    known = 0
    for row in np.argsort(-scores, kind="stable"):
        place = known
        if known:
            common, own, theirs = overlaps(boxes[row][None], centres[:known])
            union = own[:, None] + theirs[None] - common
            over = np.divide(common, union, out=np.zeros_like(common), where=union > 0)[0]
            best = int(over.argmax())
            place = best if over[best] > iou else known
        known = max(known, place + 1)
        sums[place] += scores[row] * boxes[row]
        totals[place] += scores[row]
        counts[place] += 1
        centres[place] = sums[place] / totals[place] if totals[place] else boxes[row]
    found = centres[:known]
    looks = np.array([seen(box) for box in found], np.int64)
    rates = totals[:known] / counts[:known] * np.minimum(counts[:known], looks) / looks if known else np.zeros(0)
    return found, rates


def overlaps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the common areas [K, F], and the areas [K] and [F], of boxes float64 [K, 4] and [F, 4]."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = (np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner).clip(min=0)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1) for boxes in (first, second)]
    return sides.prod(axis=2), areas[0], areas[1]
