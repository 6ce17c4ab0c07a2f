"""TIDE: why a detector errs, by six kinds of error, and what mending each would bring.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, sections 2.2 and 2.3.
# D detections and G objects of all images, K and g those of one, C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.metrics.boxes.matching import Matches, match
from headstart.metrics.boxes.overlap import overlaps
from headstart.metrics.boxes.precision import interpolated, over_classes
from headstart.metrics.boxes.truth import Truth
from headstart.types import Detections

FOREGROUND, BACKGROUND = 0.5, 0.1
"""IoU from which a box is on an object, and up to which it is on none."""
KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """What is wrong in one image."""

    kinds: tuple[str, ...]
    """Of each detection: one of KINDS, `right`, `below` (its class's threshold), or `ignored` (on an ignored object, or
    beyond the 100 surest of its class)."""
    objects: tuple[str, ...]
    """Of each object: `found`, `missed`, `mistaken` (not found, but an error above speaks of it), or `ignored`."""

    @property
    def count(self) -> int:
        """Return the number of errors."""
        return sum(kind in KINDS for kind in self.kinds) + self.objects.count("missed")


@dataclass(frozen=True)
class _Table:
    """The detections that count, as average precision needs them, and what mending would make of them."""

    label: np.ndarray
    """int64 [D]."""
    score: np.ndarray
    right: np.ndarray
    """bool [D]."""
    kind: np.ndarray
    """str [D]."""
    mended: np.ndarray
    """int64 [D], the class that the detection would be a hit of; -1 where mending removes it."""
    positives: np.ndarray
    """int64 [C]."""


def errors_at(found: Sequence[Detections], truths: Sequence[Truth], thresholds: Sequence[float]) -> tuple[ImageErrors,
                                                                                                        ...]:
    """Return the errors of each image where only detections from the thresholds of their class on, [C], are given."""
    floor = np.asarray(thresholds, np.float64)
    given = [one.scores >= floor[one.labels] for one in found]
    kept = [one.some(some) for one, some in zip(found, given, strict=True)]
    matches = match(kept, truths, len(floor), thresholds=np.array([FOREGROUND]))
    errors = _by_image(kept, truths, matches, *_sorted_out(kept, truths, matches))
    kinds = []
    for error, some in zip(errors, given, strict=True):
        full = np.full(len(some), "below", object)
        full[some] = error.kinds
        kinds.append(tuple(full))
    return tuple(replace(error, kinds=full) for error, full in zip(errors, kinds, strict=True))


def tide(found: Sequence[Detections], truths: Sequence[Truth], matches: Matches) -> tuple[dict[str, Any],
                                                                                         tuple[ImageErrors, ...]]:
    """Return plain values, and the errors of each image. matches: of these detections and objects, from IoU 0.5 on.

    {"ap50", "errors": {kind: {"count", "gain"}}, "false_positives", "false_negatives"}: gain is how much AP50 rises if
    all errors of the kind alone were mended: a wrong class or box is put right (of several for one object the surest,
    the others go), both, duplicates and background go, and missed objects are not asked for any more. The last two:
    without any false detection; with every object that is not found left out. At least 0; null where AP50 is.
    A class of which then nothing is asked counts 1, or 0 where false detections of it remain.
    """
    kinds, mended = _sorted_out(found, truths, matches)
    errors = _by_image(found, truths, matches, kinds, mended)
    rows = np.flatnonzero(kinds != "ignored")
    positives = np.bincount(matches.object_label[matches.counted[0]], minlength=matches.classes)
    labels = np.where(mended >= 0, matches.object_label[mended], -1) if len(matches.object_label) else mended
    table = _Table(matches.label[rows], matches.score[rows], matches.hit[0, 0, rows], kinds[rows], labels[rows],
                   positives)
    missed = np.zeros(matches.classes, np.int64)
    for error, truth in zip(errors, truths, strict=True):
        np.add.at(missed, truth.labels[[state == "missed" for state in error.objects]], 1)
    before = _precision(table, positives)
    worth = {kind: _precision(_mend(table, kind), positives) for kind in KINDS[:-1]}
    worth["missed"] = _precision(replace(table, positives=positives - missed), positives)
    alone = _keep(table, table.right)
    hits = np.bincount(alone.label, minlength=matches.classes)
    count = {kind: int((table.kind == kind).sum()) for kind in KINDS[:-1]} | {"missed": int(missed.sum())}
    return {"ap50": _number(before),
            "errors": {kind: {"count": count[kind], "gain": _gain(worth[kind], before)} for kind in KINDS},
            "false_positives": _gain(_precision(alone, positives), before),
            "false_negatives": _gain(_precision(replace(table, positives=hits), positives), before)}, errors


def _sorted_out(found: Sequence[Detections], truths: Sequence[Truth], matches: Matches) -> tuple[np.ndarray,
                                                                                               np.ndarray]:
    """Return the kind of each detection, str [D], and int64 [D], the row of the object that it would have; else -1."""
    judged = np.where(matches.hit[0, 0], "right", "background")
    kinds = np.where(matches.ignored[0, 0], "ignored", judged).astype(object)
    mended = np.full(len(kinds), -1)
    used = np.zeros(len(matches.object_label), bool)
    used[matches.taken[matches.hit[0, 0]]] = True
    false, objects = _rows(matches.image, matches.images), _rows(matches.object_image, matches.images)
    for image, (said, true) in enumerate(zip(found, truths, strict=True)):
        rows = false[image][kinds[false[image]] == "background"]
        there = objects[image][matches.counted[0, objects[image]]]
        if not (len(rows) and len(there)):
            continue
        rows = rows[np.argsort(-matches.score[rows], kind="stable")]
        iou = overlaps(said.boxes[matches.index[rows]], true.boxes[matches.object_index[there]])
        kinds[rows], best = _kinds(iou, matches.label[rows][:, None] == matches.object_label[there], used[there])
        for row, place in zip(rows[best >= 0], there[best[best >= 0]], strict=True):
            # Of several for one object the surest is mended, the others would be duplicates of it.
            if not used[place] and place not in mended[rows]:
                mended[row] = place
    return kinds.astype(str), mended


def _kinds(iou: np.ndarray, same: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the kind of each false detection of one image, and int64 [K], the object that it is an error about.

    iou: float [K, g]; same: bool [K, g], whether the classes agree; used: bool [g], found by another; -1 for none.
    """
    own, other = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
    conditions = [(own.max(axis=1) >= BACKGROUND) & (own.max(axis=1) <= FOREGROUND),
                  other.max(axis=1) >= FOREGROUND,
                  (own * used).max(axis=1) >= FOREGROUND,
                  iou.max(axis=1) <= BACKGROUND]
    kinds = np.select(conditions, ["localisation", "classification", "duplicate", "background"], "both")
    best = np.select([kinds == "localisation", kinds == "classification"],
                     [own.argmax(axis=1), other.argmax(axis=1)], -1)
    return kinds, best


def _by_image(found: Sequence[Detections], truths: Sequence[Truth], matches: Matches, kinds: np.ndarray,
              mended: np.ndarray) -> tuple[ImageErrors, ...]:
    said = [np.full(len(one.labels), "ignored", object) for one in found]
    states = [np.where(true.ignored, "ignored", "missed").astype(object) for true in truths]
    for row, kind in enumerate(kinds):
        said[matches.image[row]][matches.index[row]] = kind
    for rows, state in ((mended[mended >= 0], "mistaken"), (matches.taken[matches.hit[0, 0]], "found")):
        for row in rows:
            states[matches.object_image[row]][matches.object_index[row]] = state
    return tuple(ImageErrors(tuple(one), tuple(other)) for one, other in zip(said, states, strict=True))


def _rows(image: np.ndarray, images: int) -> list[np.ndarray]:
    """Return the rows of each image, ascending."""
    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, images))) if images else []


def _mend(table: _Table, kind: str) -> _Table:
    wrong = table.kind == kind
    put_right = wrong & (table.mended >= 0)
    moved = replace(table, label=np.where(put_right, table.mended, table.label), right=table.right | put_right)
    return _keep(moved, ~wrong | put_right)


def _keep(table: _Table, kept: np.ndarray) -> _Table:
    return replace(table, label=table.label[kept], score=table.score[kept], right=table.right[kept],
                   kind=table.kind[kept], mended=table.mended[kept])


def _precision(table: _Table, before: np.ndarray) -> float:
    """Return AP50, the mean over the classes that had objects `before`, int [C]."""
    each = np.full(len(before), np.nan)
    for c in np.flatnonzero(before):
        rows = np.flatnonzero(table.label == c)
        rows = rows[np.argsort(-table.score[rows], kind="stable")]
        if not table.positives[c]:
            each[c] = float(not len(rows))
            continue
        hits = np.flatnonzero(table.right[rows])
        right, given = np.arange(1.0, len(hits) + 1)[:, None], (hits + 1.0)[:, None]
        each[c] = interpolated(right, given, table.positives[c:c + 1].astype(np.float64))[0]
    return float(over_classes(each))


def _gain(after: float, before: float) -> float | None:
    return _number(max(after - before, 0.0))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
