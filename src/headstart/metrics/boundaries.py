"""Boundaries of semantic segmentation: how near those of the answer lie to those of the truth.

# N images, C classes, R resamples, H height, W width in pixels, P boundary pixels

A pixel is on the boundary of its class where one of its four neighbours is of another class. Pixels that the truth
ignores are no neighbours, in truth and answer alike, and neither is what lies outside of the picture: an edge that only
the frame or a void region makes is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.spatial import cKDTree

from headstart.data.pixel_classes import class_counts
from headstart.metrics.masks import Scorer, mean_defined, ratio
from headstart.types import IGNORED

NAMES = ("boundary_f1", "boundary_iou", "hd95", "assd")
"""The first two in 0..1, more is better; the others in pixels, less is better."""
TOLERANCE, THICKNESS = 0.0075, 0.02
"""Shares of the picture's diagonal: how far off a boundary may be, and how thick a band is; a pixel at least."""
PERCENTILE = 95
STRIP = 4_000_000
"""Pixels that are filtered at once."""


@dataclass(frozen=True)
class Boundaries:
    """What was measured by class: [C] each of one image, [N, C] of several."""

    true_boundary: np.ndarray
    """int64, pixels on the true boundary."""
    true_boundary_found: np.ndarray
    """int64, those of them that have a pixel of the answer's boundary within the tolerance."""
    predicted_boundary: np.ndarray
    """int64, pixels on the answer's boundary."""
    predicted_boundary_right: np.ndarray
    """int64, those of them that have a pixel of the true boundary within the tolerance."""
    band_both: np.ndarray
    """int64, pixels in the inner bands of truth and answer."""
    band_either: np.ndarray
    """int64, pixels in the inner band of one of them."""
    hd95_by_class: np.ndarray
    """float64, pixels; NaN where undefined."""
    assd_by_class: np.ndarray
    """float64, pixels; NaN where undefined."""

    def __len__(self) -> int:
        return len(self.true_boundary)


FIELDS = tuple(field.name for field in fields(Boundaries))


def together(parts: Sequence[Boundaries], classes: int) -> Boundaries:
    """Return those of several images, [N, C] each, of those of single ones."""
    return Boundaries(*(np.array([getattr(part, name) for part in parts],
                                 np.float64 if name.endswith("_by_class") else np.int64).reshape(-1, classes)
                        for name in FIELDS))


def boundaries_of(truth: np.ndarray, found: np.ndarray, classes: int) -> Boundaries:
    """Return what is measured of one image, [C] each. truth, found: uint8 [H, W], class indices; of truth also IGNORED.

    A pixel of one boundary is matched where the other has one within the tolerance. The inner band of a class are its
    pixels that have another class at most a band's thickness away, along rows, columns or both (a square). hd95 is
    the larger one of the two 95th percentiles of the distances from one boundary to the other; assd is their mean over
    the pixels of both. Where only one of truth and answer has the class at all, both are the picture's diagonal: a
    class that was missed, or made up, is as far off as can be. Undefined (NaN) where neither has the class, or where
    both have it, but not both a boundary of it.

    Memory is that of a few strips and of the pixels on boundaries; the time grows with H W and with P log P.
    Sources: Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013, section 3;
    Cheng et al., "Boundary IoU", CVPR 2021, section 4 (with the square erosion of their code); Huttenlocher et al.,
    "Comparing images using the Hausdorff distance", PAMI 1993.
    """
    diagonal = math.hypot(*truth.shape)
    said = np.where(truth == IGNORED, np.uint8(IGNORED), found)
    both, either = _bands(truth, said, max(1, round(THICKNESS * diagonal)))
    true, answered = _by_class(truth, classes), _by_class(said, classes)
    alone = (class_counts(truth, classes) > 0) != (class_counts(said, classes) > 0)
    counts = np.zeros((4, classes), np.int64)
    distances = np.full((2, classes), np.nan)
    for c, (mine, theirs) in enumerate(zip(true, answered, strict=True)):
        counts[0, c], counts[2, c] = len(mine), len(theirs)
        if alone[c]:
            distances[:, c] = diagonal
        elif len(mine) and len(theirs):
            there, back = _nearest(mine, theirs), _nearest(theirs, mine)
            counts[1, c], counts[3, c] = ((part <= max(1.0, TOLERANCE * diagonal)).sum() for part in (there, back))
            distances[0, c] = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
            distances[1, c] = np.concatenate([there, back]).mean()
    measured = [*counts, both[:classes], either[:classes], *distances]
    return Boundaries(*measured)


def boundary_scorer(found: Boundaries) -> Scorer:
    """Return a call from weights [R, N] to {name: [R]}, with `hd95 0`, `hd95 1`, ... and so on by class.

    boundary_f1 = 2 P R / (P + R) of the shares of the answer's (P) and of the true (R) boundary pixels that are
    matched, and boundary_iou, the IoU of the bands, are of the pixels of all images; undefined (NaN) for a class
    without any. hd95 and assd are means over the images where they are defined. All four are then means over classes.
    """
    counts = [getattr(found, name).astype(np.float64) for name in FIELDS[:6]]
    distances = {"hd95": found.hd95_by_class, "assd": found.assd_by_class}

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        by_class = _shares(*(weights @ part for part in counts))
        for name, values in distances.items():
            by_class[name] = ratio(weights @ np.nan_to_num(values), weights @ np.isfinite(values))
        return {**{name: mean_defined(values) for name, values in by_class.items()},
                **{f"{name} {c}": values[:, c] for name, values in by_class.items() for c in range(values.shape[1])}}
    return score


def boundaries_of_images(found: Boundaries) -> dict[str, np.ndarray]:
    """Return the metrics of each image alone, the mean over its classes, float64 [N]; NaN where none is defined."""
    shares = _shares(*(getattr(found, name).astype(np.float64) for name in FIELDS[:6]))
    return {name: mean_defined(values) for name, values in
            {**shares, "hd95": found.hd95_by_class, "assd": found.assd_by_class}.items()}


def _shares(true: np.ndarray, recalled: np.ndarray, answered: np.ndarray, right: np.ndarray, both: np.ndarray,
            either: np.ndarray) -> dict[str, np.ndarray]:
    """Return boundary_f1 and boundary_iou of counts of any shape."""
    # 2 P R / (P + R) without its divisions: where nothing is matched, or one has no boundary, it is 0.
    f1 = ratio(2 * right * recalled, right * true + recalled * answered)
    return {"boundary_f1": np.where((true + answered > 0) & np.isnan(f1), 0.0, f1), "boundary_iou": ratio(both, either)}


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return float64 [P], the distance of each point to the nearest of the others. points: [P, 2]; others: [P', 2]."""
    # Unbalanced trees are built faster, and points on a grid leave them shallow anyway.
    found: np.ndarray = cKDTree(others, balanced_tree=False, compact_nodes=False).query(points)[0]
    return found


def _by_class(labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """Return for each class int32 [P, 2], rows and columns of the pixels on its boundary. labels: uint8 [H, W]."""
    points, kinds = [], []
    for first, inner, part in _strips(1, labels):
        rows, columns = np.nonzero(_edge(part[0])[inner])
        points.append(np.column_stack([rows + first, columns]).astype(np.int32))
        kinds.append(part[0][inner][rows, columns])
    every, of = np.concatenate(points), np.concatenate(kinds)
    return [every[of == c] for c in range(classes)]


def _edge(labels: np.ndarray) -> np.ndarray:
    """Return bool [H, W], whether a neighbour is of another class; neither of them ignored."""
    edge = np.zeros(labels.shape, bool)
    counted = labels != IGNORED
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (labels[one] != labels[other]) & counted[one] & counted[other]
        edge[one] |= differ
        edge[other] |= differ
    return edge


def _bands(truth: np.ndarray, said: np.ndarray, thickness: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 [256] twice, by class the pixels in both inner bands and in one or both. truth, said: uint8 [H, W].
    """
    both, each = np.zeros(IGNORED + 1, np.int64), np.zeros(IGNORED + 1, np.int64)
    for _, inner, parts in _strips(thickness, truth, said):
        true, answered = (part[inner] for part in parts)
        in_true, in_answered = (_band(part, thickness)[inner] for part in parts)
        both += np.bincount(true[in_true & in_answered & (true == answered)], minlength=len(both))
        each += np.bincount(true[in_true], minlength=len(each)) + np.bincount(answered[in_answered],
                                                                              minlength=len(each))
    return both, each - both


def _band(labels: np.ndarray, thickness: int) -> np.ndarray:
    """Return bool [H, W], whether a square around the pixel holds another class: the inner bands of all at once."""
    size = 2 * thickness + 1
    # IGNORED is the highest number of a byte; one more, it is the lowest: neither filter ever takes it.
    raised = labels + np.uint8(1)
    lowest = minimum_filter(labels, size, mode="nearest")
    highest = maximum_filter(raised, size, mode="nearest")
    band: np.ndarray = (labels != IGNORED) & ((lowest != labels) | (highest != raised))
    return band


def _strips(margin: int, *labels: np.ndarray) -> Iterator[tuple[int, slice, list[np.ndarray]]]:
    """Give strips of rows: the number of the first row, and where in each of the parts, with margins, the strip is."""
    height, width = labels[0].shape
    step = max(1, STRIP // width, 4 * margin)  # margins are read twice
    for start in range(0, height, step):
        above = min(margin, start)
        yield start, slice(above, above + step), [each[start - above:start + step + margin] for each in labels]
