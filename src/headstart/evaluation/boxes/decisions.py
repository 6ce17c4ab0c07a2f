"""Decisions: what follows from a threshold on a detector's score: curves over it, the best one, precision at it.

# D detections, C classes. Everything at IoU 0.5, whatever the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.evaluation.thresholds import DEFAULT, best_for_f1
from headstart.metrics.boxes.matching import Matches, match
from headstart.metrics.boxes.precision import RECALLS, over_classes
from headstart.metrics.boxes.truth import Truth
from headstart.types import Detections

CONFIDENCES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Decisions:
    """The detections of one class that are right or wrong, the surest first."""

    score: np.ndarray
    """float64 [D], descending."""
    right: np.ndarray
    """bool [D]."""
    positives: int
    """Objects that count."""

    def at(self, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return precision, recall and F1 of what scores at least each threshold, float64 like `thresholds`.

        Precision is 1 where nothing is given (nothing false was said), F1 then 0; without objects, recall is NaN.
        """
        given = np.searchsorted(-self.score, -thresholds, side="right")
        right = np.append(0, np.cumsum(self.right))[given]
        precision = np.divide(right, given, out=np.ones(given.shape), where=given > 0)
        if not self.positives:
            nothing = np.full(given.shape, np.nan)
            return precision, nothing, nothing
        return precision, right / self.positives, 2 * right / (given + self.positives)


def decisions(matches: Matches) -> list[Decisions]:
    """Return the decisions of each class."""
    edges = np.searchsorted(matches.label, np.arange(matches.classes + 1))
    positives = np.bincount(matches.object_label[matches.counted[0]], minlength=matches.classes)
    found = []
    for c in range(matches.classes):
        rows = np.arange(edges[c], edges[c + 1])
        rows = rows[~matches.ignored[0, 0, rows]]
        found.append(Decisions(matches.score[rows], matches.hit[0, 0, rows], int(positives[c])))
    return found


def choose_detection_thresholds(found: Sequence[Detections], truths: Sequence[Truth],
                                classes: Sequence[str]) -> tuple[float, ...]:
    """Return the score of each class, in 0..1 exclusive, from which detections give the best F1 at IoU 0.5.

    To be called on validation. Of equally good ones that nearest 0.5; a class that was never found, or is not there,
    keeps 0.5. Raises DataError for what can't be measured.
    """
    return best_thresholds(decisions(match(found, truths, len(classes), thresholds=np.array([0.5]))))


def best_thresholds(of_classes: Sequence[Decisions]) -> tuple[float, ...]:
    """Return the threshold of each class with the best F1."""
    return tuple(best_for_f1(d.right, d.score, np.ones(len(d.score)), positives=d.positives) if d.right.any()
                 else DEFAULT for d in of_classes)


def curves(of_classes: Sequence[Decisions], classes: Sequence[str]) -> dict[str, Any]:
    """Return plain values: precision over recall, and precision, recall and F1 over the threshold on the score.

    {"recalls" [101], "confidences" [101], "overall", "per_class": {class: ...}}; each curve is {"precision_at_recall",
    "precision", "recall", "f1"}, each [101], or null for a class without objects. Overall is the mean of the classes.
    """
    found = [_curves(one) for one in of_classes]
    known = [one for one in found if one is not None]
    overall = {name: np.mean([one[name] for one in known], axis=0) for name in known[0]} if known else None
    return {"recalls": _listed(RECALLS), "confidences": _listed(CONFIDENCES), "overall": _plain(overall),
            "per_class": {name: _plain(one) for name, one in zip(classes, found, strict=True)}}


def _curves(one: Decisions) -> dict[str, np.ndarray] | None:
    if not one.positives:
        return None
    right = np.cumsum(one.right)
    precision = right / np.arange(1, len(right) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    at_recall = best[np.searchsorted(right / one.positives, RECALLS, side="left")]
    over = dict(zip(("precision", "recall", "f1"), one.at(CONFIDENCES), strict=True))
    return {"precision_at_recall": at_recall, **over}


def mean_f1(of_classes: Sequence[Decisions], thresholds: Sequence[float]) -> float:
    """Return the mean F1 over the classes that have objects, each at its threshold; NaN without any."""
    each = [float(one.at(np.array([t]))[2][0]) for one, t in zip(of_classes, thresholds, strict=True)]
    return float(over_classes(np.array(each)))


def _plain(found: dict[str, np.ndarray] | None) -> dict[str, list[float]] | None:
    return None if found is None else {name: _listed(values) for name, values in found.items()}


def _listed(values: np.ndarray) -> list[float]:
    # Four digits draw a line on any screen, and keep the file small.
    return [round(float(value), 4) for value in values]
