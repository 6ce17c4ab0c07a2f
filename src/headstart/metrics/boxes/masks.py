"""Masks of objects: what each found one shares with each true one, and panoptic quality.

# N images, K detections and G objects of an image, C classes, R weightings
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.data.regions import decoded, rectangle, region_of
from headstart.data.run_lengths import area, encoded, overlap
from headstart.types import Detections, Instance, Rle

PANOPTIC = ("pq", "sq", "rq")
MATCHED = 0.5
"""Intersection over union above which two segments are one: at most one pair of any can be."""
LEFT = 0.5
"""Share of a found mask that surer ones must leave of it."""


@dataclass(frozen=True)
class MaskOverlaps:
    """How the found masks of one image lie on the true ones."""

    shares: np.ndarray
    """float64 [K, G] in 0..1."""
    areas: np.ndarray
    """float64 [K], pixels of each found mask."""
    true_areas: np.ndarray
    """float64 [G]."""


@dataclass(frozen=True)
class Segments:
    """What panoptic quality counts, float64 [N, C] each."""

    shares: np.ndarray
    """Sum of the intersection over union of the segments that are one."""
    right: np.ndarray
    wrong: np.ndarray
    missed: np.ndarray

    def scorer(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """Return a call from weights [R, N] to {"pq", "sq", "rq"}: [R], means over the classes where they are defined.

        sq = sum of the shares / right, rq = right / (right + wrong / 2 + missed / 2), pq = sq rq.
        Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019, equation 1; of things alone.
        """
        def score(weights: np.ndarray) -> dict[str, np.ndarray]:
            shares, right, wrong, missed = (weights @ part for part in (self.shares, self.right, self.wrong,
                                                                        self.missed))
            total = right + (wrong + missed) / 2
            found = {"pq": _ratio(shares, total), "sq": _ratio(shares, right), "rq": _ratio(right, total)}
            return {name: _mean(values) for name, values in found.items()}
        return score


def true_masks(objects: Sequence[Instance], size: tuple[int, int]) -> list[Rle]:
    """Return the pixels of each object in a picture of this height and width; of one with a box alone, the box."""
    masks = []
    for one in objects:
        if one.rle is not None and (one.rle.height, one.rle.width) == size:
            masks.append(one.rle)
        else:
            region = region_of(one, size, size)
            masks.append(encoded(rectangle(one.box, size) if region is None else region))
    return masks


def mask_overlaps(found: Detections, objects: Sequence[Instance], size: tuple[int, int]) -> MaskOverlaps:
    """Return how the masks of one image, of this height and width, lie on those of its objects."""
    assert found.masks is not None, "a detector without masks"
    true = true_masks(objects, size)
    crowd = np.array([one.crowd for one in objects], bool)
    return MaskOverlaps(overlap(found.masks, true, crowd), np.array([area(mask) for mask in found.masks], np.float64),
                        np.array([area(mask) for mask in true], np.float64))


def segments(found: Sequence[Detections], objects: Sequence[Sequence[Instance]], sizes: Sequence[tuple[int, int]],
             thresholds: Sequence[float]) -> Segments:
    """Return what panoptic quality counts where the detections from the thresholds of their class on, [C], are given.

    A pixel is of the surest mask that has it; a mask of which surer ones leave less than half is let go. Found masks
    that lie in a crowd, or on a difficult object, are not counted.
    """
    classes, least = len(thresholds), np.asarray(thresholds, np.float64)
    counts = np.zeros((4, len(found), classes))
    for image, (said, true, size) in enumerate(zip(found, objects, sizes, strict=True)):
        shown = _apart(said.some(said.scores >= least[said.labels]), size)
        shares = mask_overlaps(shown, true, size).shares
        ignored = np.array([one.crowd or one.difficult for one in true], bool)
        labels = np.array([one.label for one in true], np.int64)
        same = (shown.labels[:, None] == labels) * shares
        # True masks may overlap a little: each found one is one of them at most.
        nearest = np.where(ignored, 0, same)
        matched = (nearest > MATCHED) & (nearest == nearest.max(axis=1, keepdims=True, initial=0))
        excused = ((same > MATCHED) & ignored).any(axis=1)
        hit, taken = matched.any(axis=1), matched.any(axis=0)
        for kind, (marks, of, weights) in enumerate((
                (hit, shown.labels, (same * matched).sum(axis=1)), (hit, shown.labels, None),
                (~hit & ~excused, shown.labels, None), (~taken & ~ignored, labels, None))):
            counts[kind, image] = np.bincount(of[marks], None if weights is None else weights[marks], classes)
    return Segments(*counts)


def _apart(found: Detections, size: tuple[int, int]) -> Detections:
    """Return the detections with masks that share no pixel, the surest first."""
    assert found.masks is not None, "a detector without masks"
    free = np.ones(size, bool)
    kept, masks = [], []
    for row in np.argsort(-found.scores, kind="stable"):
        mask = decoded(found.masks[row])
        left = mask & free
        if mask.any() and left.sum() >= LEFT * mask.sum():
            kept.append(int(row))
            masks.append(encoded(left))
            free &= ~left
    rows = np.array(kept, np.int64)
    return Detections(found.boxes[rows], found.scores[rows], found.labels[rows], tuple(masks))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
