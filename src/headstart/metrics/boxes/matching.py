"""Matching: which detection is which object, once for every IoU threshold and size, by COCO's greedy rule.

# N images, C classes, D detections and G objects of all images, A sizes, T thresholds, P pairs of image and class
# that have both; within a block of pairs, d and g are the most detections and objects of one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.metrics.boxes.masks import MaskOverlaps
from headstart.metrics.boxes.overlap import areas, overlaps
from headstart.metrics.boxes.truth import Truth, refuse_unfit
from headstart.types import Detections

IOUS = np.linspace(0.5, 0.95, 10)
SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Square pixels of the original picture, both ends included."""
MOST = 100
"""Detections of one class in one image that count: the surest."""
BLOCK = 2**20
"""Numbers held at once while matching."""


@dataclass(frozen=True)
class Matches:
    """Detections and objects of all images; detections by class, then the surest first (COCO's order among equals)."""

    images: int
    classes: int
    thresholds: np.ndarray
    """float64 [T]."""
    image: np.ndarray
    """int64 [D], position of the image."""
    label: np.ndarray
    """int64 [D], ascending."""
    score: np.ndarray
    """float64 [D]."""
    rank: np.ndarray
    """int64 [D], place among its image's detections of its class, 0 for the surest."""
    index: np.ndarray
    """int64 [D], place in the `Detections` of its image."""
    hit: np.ndarray
    """bool [A, T, D]: it has the object of its class that it overlaps most and no surer one had."""
    ignored: np.ndarray
    """bool [A, T, D]: neither right nor wrong, as its object is ignored or both are of another size."""
    taken: np.ndarray
    """int64 [D], row of the object that it has, counted or not, at the first threshold and of any size; -1 for none."""
    object_image: np.ndarray
    """int64 [G]."""
    object_index: np.ndarray
    """int64 [G], place in the `Truth` of its image."""
    object_label: np.ndarray
    """int64 [G]."""
    counted: np.ndarray
    """bool [A, G]: the object is of that size and not ignored."""


@dataclass(frozen=True)
class _Columns:
    """Boxes of all images, sorted by image and class (detections then by score), so that a pair lies together."""

    pair: np.ndarray
    """int64, image * classes + class, ascending."""
    boxes: np.ndarray
    numbers: np.ndarray
    """Scores of detections, areas of objects."""
    index: np.ndarray
    """Place in its image."""


def match(found: Sequence[Detections], truths: Sequence[Truth], classes: int, *,
          thresholds: np.ndarray = IOUS, masks: Sequence[MaskOverlaps] | None = None) -> Matches:
    """Return which detections are objects. found, truths: one for each image, in the same order.

    masks: of each image how masks overlap, which then counts instead of how boxes do.

    Per image and class, the surest detection first, each takes the free object that it overlaps most, by at least the
    threshold; counted objects go before ignored ones, a crowd is never used up, and of equals the later object is
    taken. Raises DataError where something can't be measured (see `refuse_unfit`).
    Source: Lin et al., "Microsoft COCO", ECCV 2014, and the evaluation code published with it.
    """
    refuse_unfit(found, truths, classes)
    said = _columns([(f.boxes, f.labels, f.scores) for f in found], classes, by_score=True)
    sizes = areas(said.boxes) if masks is None else np.concatenate([np.zeros(0), *(one.areas for one in masks)])[
        np.cumsum([0, *(len(f.labels) for f in found)])[said.pair // classes] + said.index]
    rank = np.arange(len(said.pair)) - np.searchsorted(said.pair, said.pair)
    kept = rank < MOST
    said, rank = _Columns(said.pair[kept], said.boxes[kept], said.numbers[kept], said.index[kept]), rank[kept]
    true = _columns([(t.boxes, t.labels, t.areas if masks is None else masks[image].true_areas)
                     for image, t in enumerate(truths)], classes, by_score=False)
    starts = np.cumsum([0, *(len(t.labels) for t in truths)])
    rows = starts[true.pair // classes] + true.index
    crowd, ignored = (np.concatenate([np.zeros(0, bool), *(getattr(t, name) for t in truths)])[rows]
                      for name in ("crowd", "ignored"))
    counted = np.stack([~ignored & _within(true.numbers, limits) for limits in SIZES.values()])
    hit = np.zeros((len(SIZES), len(thresholds), len(said.pair)), bool)
    outside = ~np.stack([_within(sizes[kept], limits) for limits in SIZES.values()])
    left_out = np.repeat(outside[:, None], len(thresholds), axis=1)
    taken = np.full(len(said.pair), -1)
    # Equal to the threshold is enough, and a box laid exactly on another may be a rounding short of 1.
    floors = np.minimum(thresholds, 1 - 1e-10)
    for mine, theirs in _blocks(said.pair, true.pair, len(SIZES) * len(thresholds)):
        iou = overlaps(said.boxes[mine], true.boxes[theirs], crowd[theirs]) if masks is None else np.stack([
            masks[image].shares[np.ix_(*(np.where(rows < 0, 0, of.index[rows]) for of, rows in ((said, d), (true, g))))]
            for image, d, g in zip(said.pair[mine[:, 0]] // classes, mine, theirs, strict=True)])
        _match_block(iou, mine=mine, theirs=theirs, crowd=crowd, counted=counted, floors=floors, hit=hit,
                     ignored=left_out, taken=taken)
    order = np.lexsort((-said.numbers, said.pair % classes))
    return Matches(len(found), classes, thresholds, said.pair[order] // classes, said.pair[order] % classes,
                   said.numbers[order], rank[order], said.index[order], hit[..., order], left_out[..., order],
                   taken[order], true.pair // classes, true.index, true.pair % classes, counted)


def _columns(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], classes: int, *, by_score: bool) -> _Columns:
    """Return the (boxes, labels, numbers) of all images as sorted columns; equals stay in their order."""
    boxes = np.concatenate([np.zeros((0, 4)), *(part[0] for part in parts)])
    labels = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)]).astype(np.int64)
    numbers = np.concatenate([np.zeros(0), *(part[2] for part in parts)])
    counts = [len(part[1]) for part in parts]
    pair = np.repeat(np.arange(len(parts)), counts) * classes + labels
    index = np.concatenate([np.zeros(0, np.int64), *(np.arange(count) for count in counts)])
    order = np.lexsort((-numbers, pair)) if by_score else np.argsort(pair, kind="stable")
    return _Columns(pair[order], boxes[order], numbers[order], index[order])


def _within(sizes: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.asarray((sizes >= limits[0]) & (sizes <= limits[1]))


def _blocks(said: np.ndarray, true: np.ndarray, states: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (int64 [P, d], int64 [P, g]): rows of the detections and objects of alike pairs, -1 where there is none.

    said, true: the pairs of the rows, ascending. Pairs are put together by their powers of two, so that little of a
    block is empty; states: numbers that each object needs.
    """
    shared = np.intersect1d(said, true)
    first = [np.searchsorted(side, shared) for side in (said, true)]
    count = [np.searchsorted(side, shared, side="right") - start
             for side, start in zip((said, true), first, strict=True)]
    bucket = np.stack([np.ceil(np.log2(n)).astype(np.int64) for n in count])
    for d, g in np.unique(bucket, axis=1).T:
        members = np.flatnonzero((bucket[0] == d) & (bucket[1] == g))
        step = max(1, BLOCK // (2 ** int(g) * max(2 ** int(d), states)))
        for start in range(0, len(members), step):
            part = members[start:start + step]
            yield (_padded(first[0][part], count[0][part]), _padded(first[1][part], count[1][part]))


def _padded(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    steps = np.arange(count.max())
    return np.where(steps < count[:, None], first[:, None] + steps, -1)


def _match_block(iou: np.ndarray, *, mine: np.ndarray, theirs: np.ndarray, crowd: np.ndarray,
                 counted: np.ndarray, floors: np.ndarray, hit: np.ndarray, ignored: np.ndarray,
                 taken: np.ndarray) -> None:
    """Match a block of pairs, one detection of each at a time; write into `hit`, `ignored` [A, T, D] and `taken` [D].

    mine: int64 [P, d], theirs: int64 [P, g], -1 for none; iou: float64 [P, d, g] of them, anything where
    there is none. crowd: bool [G]. counted: bool [A, G]. floors: [T].
    """
    iou[np.broadcast_to(theirs[:, None, :] < 0, iou.shape)] = -1
    objects = iou.shape[2]
    # Whole numbers that order the objects as the rule does, exactly: by overlap, then the later one; ones that count
    # stand above all that are ignored.
    order = np.argsort(np.argsort(iou, axis=2, kind="stable"), axis=2, kind="stable").astype(np.int32)
    bonus = (counted[:, theirs] * (objects + 1)).astype(np.int32).transpose(1, 0, 2)  # [P, A, g]
    free = np.ones((len(mine), len(counted), len(floors), objects), bool)
    reusable = crowd[theirs][:, None, None, :]
    pairs, sizes, levels = np.ogrid[:len(mine), :len(counted), :len(floors)]
    for place in range(mine.shape[1]):
        near = iou[:, place, None, :] >= floors[None, :, None]  # [P, T, g]
        worth = np.where(free & near[:, None], (order[:, place, None, :] + bonus)[:, :, None, :], -1)
        best = worth.argmax(axis=3)
        some = worth[pairs, sizes, levels, best] >= 0  # [P, A, T]
        some &= (mine[:, place] >= 0)[:, None, None]
        before = free[pairs, sizes, levels, best]
        free[pairs, sizes, levels, best] = before & (~some | reusable[pairs, 0, 0, best])
        target = theirs[pairs, best]
        counts = counted[sizes, target]
        live = mine[:, place] >= 0
        rows = mine[live, place]
        hit[..., rows] = (some & counts)[live].transpose(1, 2, 0)
        ignored[..., rows] = np.where(some[live].transpose(1, 2, 0), ~counts[live].transpose(1, 2, 0),
                                      ignored[..., rows])
        taken[rows] = np.where(some[live, 0, 0], target[live, 0, 0], -1)
