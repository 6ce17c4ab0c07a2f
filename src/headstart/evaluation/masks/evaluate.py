"""Evaluate masks: what a segmenter is worth on one split, every metric with its interval.

# N images, C classes, R resamples
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import ConfigError, DataError
from headstart.evaluation.comparison import Difference, concluded
from headstart.evaluation.intervals import Interval, bootstrap, effective_size, interval
from headstart.evaluation.masks.measures import NAMES, Measures
from headstart.metrics import boundaries
from headstart.metrics.boundaries import Boundaries
from headstart.metrics.masks import overlaps_of


@dataclass(frozen=True)
class MaskEvaluation:
    """What was found on one split."""

    metrics: dict[str, Interval]
    details: dict[str, Any]
    """Plain values: `per_class` (iou, dice and the metrics of boundaries with intervals, precision, recall, pixels,
    images ...), `confusion` (rows are the truth), `counts`, `undefined` (the classes that neither truth nor answers
    have)."""
    measures: Measures
    """What it rests on, by image and class."""

    def to_json(self) -> dict[str, dict[str, float | None]]:
        """Return {metric: {"value", "low", "high"}} with null for what is undefined."""
        return {name: found.to_json() for name, found in self.metrics.items()}


def evaluate_masks(confusions: np.ndarray, found: Boundaries, classes: Sequence[str], *,
                   groups: Sequence[object] | None = None, seed: int = 0, resamples: int = 1000) -> MaskEvaluation:
    """Return the metrics with their 95 % bootstrap intervals over images, and the details behind them.

    confusions: int64 [N, C, C], one of each image (`metrics.masks.confusion_of`). found: their boundaries, of the same
    images in the same order. groups: the group of each image; where given, the bootstrap draws groups. resamples: 0
    leaves intervals undefined.
    Raises DataError where there is no image, or no pixel of any class.
    """
    if not len(confusions):
        raise DataError("there is no image to evaluate on: the split is empty. Give it images, or split anew.")
    if not confusions.any():
        raise DataError("every pixel of the split is ignored, so that nothing can be measured. Are the numbers of the "
                        "masks what they should be?")
    measures = Measures(overlaps_of(confusions), found)
    score = measures.scorer()
    values = {name: float(value[0]) for name, value in score(np.ones((1, len(confusions)))).items()}
    replicates = bootstrap(score, len(confusions), resamples=resamples, seed=seed, groups=groups)
    size = effective_size(len(confusions), groups=groups)
    intervals = {name: interval(_kind(name), value, replicates.get(name, np.zeros(0)), size=size)
                 for name, value in values.items()}
    total = confusions.sum(axis=0)
    details = {"per_class": {name: _of_class(measures, c, intervals) for c, name in enumerate(classes)},
               "confusion": total.tolist(),
               "undefined": [name for c, name in enumerate(classes) if math.isnan(values[f"iou {c}"])],
               "counts": {"images": len(confusions), "pixels": int(total.sum()),
                          "images_ignored": int((confusions.sum(axis=(1, 2)) == 0).sum())}}
    return MaskEvaluation({name: intervals[name] for name in NAMES}, details, measures)


def compare_masks(a: Measures, b: Measures, *, metric: str = "miou", groups: Sequence[object] | None = None,
                  seed: int = 0, resamples: int = 1000) -> Difference:
    """Return the difference a - b of a metric with its 95 % paired bootstrap interval: both on the same draws.

    a, b: of the same images, in the same order. Raises ConfigError for a metric that segmentation has not, or
    that one of the two has not measured.
    Source: Efron & Tibshirani 1993, chapter 16.
    """
    if metric not in NAMES:
        raise ConfigError(f"{metric} is no metric of semantic segmentation. Choices: {', '.join(NAMES)}.")
    if metric in boundaries.NAMES and (a.boundaries is None or b.boundaries is None):
        raise ConfigError(f"{metric}: one of the runs was made before boundaries were measured. Repeat it with "
                          "`headstart reproduce`, or compare by another metric.")
    first, second = a.scorer(), b.scorer()

    def difference(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {metric: first(weights)[metric] - second(weights)[metric]}

    value = float(difference(np.ones((1, len(a))))[metric][0])
    drawn = bootstrap(difference, len(a), resamples=resamples, seed=seed, groups=groups)
    return concluded(metric, value, drawn.get(metric, np.zeros(0)))


def _kind(name: str) -> str:
    """Return the metric that has the range of one, or of one of a single class, such as `iou 3`."""
    what = name.partition(" ")[0]
    return {"iou": "miou", "dice": "mdice"}.get(what, what)


def _of_class(measures: Measures, c: int, intervals: dict[str, Interval]) -> dict[str, Any]:
    overlaps, found = measures.overlaps, measures.boundaries
    assert found is not None, "an evaluation measures boundaries"
    trues, answers = overlaps.true[:, c], overlaps.answered[:, c]
    true, answered, hits = int(trues.sum()), int(answers.sum()), int(overlaps.right[:, c].sum())
    return {**{name: intervals[f"{name} {c}"].to_json() for name in ("iou", "dice", *boundaries.NAMES)},
            "precision": hits / answered if answered else None, "recall": hits / true if true else None,
            "pixels": true, "images": int((trues > 0).sum()), "missed": int(((trues > 0) & (answers == 0)).sum()),
            "made_up": int(((trues == 0) & (answers > 0)).sum()),
            "distances": int(np.isfinite(found.hd95_by_class[:, c]).sum())}
