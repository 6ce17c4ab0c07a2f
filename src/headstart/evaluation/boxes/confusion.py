"""Confusion: which class is taken for which, and what is missed or made up, at the operating thresholds.

# C classes, K detections and G objects of one image
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.metrics.boxes.overlap import overlaps
from headstart.metrics.boxes.truth import Truth
from headstart.types import Detections

ENOUGH = 0.5


def confusion(found: Sequence[Detections], truths: Sequence[Truth], thresholds: Sequence[float]) -> np.ndarray:
    """Return int64 [C + 1, C + 1]; rows are the true class, columns what was said; the last of each is background.

    thresholds: float [C], the score from which a detection of each class is given. Boxes are matched whatever their
    class, those that overlap most first, one to one, from IoU 0.5 on; of equal overlaps the right class first. Of what
    is left, objects are missed (last column) and detections made up (last row), but for those on an ignored object.
    """
    background = len(thresholds)
    counts = np.zeros((background + 1, background + 1), np.int64)
    floor = np.asarray(thresholds, np.float64)
    for said, true in zip(found, truths, strict=True):
        given = np.flatnonzero(said.scores >= floor[said.labels])
        boxes, labels = said.boxes[given], said.labels[given]
        iou = overlaps(boxes, true.boxes, true.crowd)
        taken, had = _paired(iou[:, ~true.ignored], labels[:, None] == true.labels[~true.ignored][None, :])
        objects = true.labels[~true.ignored]
        missed = np.delete(objects, had)
        free = np.setdiff1d(np.arange(len(labels)), taken)
        made_up = labels[free[(iou[np.ix_(free, true.ignored)] < ENOUGH).all(axis=1)]]
        truth = np.concatenate([objects[had], missed, np.full(len(made_up), background)])
        answer = np.concatenate([labels[taken], np.full(len(missed), background), made_up])
        np.add.at(counts, (truth, answer), 1)
    return counts


def _paired(iou: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 rows and columns of the pairs. iou: float [K, G]; same: bool [K, G], whether the classes agree."""
    rows, columns = np.nonzero(iou >= ENOUGH)
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for place in np.lexsort((~same[rows, columns], -iou[rows, columns])):
        row, column = int(rows[place]), int(columns[place])
        if row not in pairs and column not in used:
            pairs[row] = column
            used.add(column)
    return np.array(list(pairs), np.int64), np.array(list(pairs.values()), np.int64)
