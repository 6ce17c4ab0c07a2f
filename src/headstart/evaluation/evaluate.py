"""Evaluate: what a model is worth on one split, every metric with its interval.

# N samples, C classes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import DataError
from headstart.evaluation.calibration import reliability
from headstart.evaluation.intervals import Interval, bootstrap, effective_size, interval
from headstart.metrics.compute import scorer
from headstart.metrics.decisions import count, per_class
from headstart.metrics.ranking import ranking
from headstart.metrics.registry import names_for
from headstart.tasks.task import ImageTask

ERROR = "expected_calibration_error"


@dataclass(frozen=True)
class Evaluation:
    """What was found on one split."""

    metrics: dict[str, Interval]
    details: dict[str, Any]
    """Plain values: `per_class`, `confusion` (rows are the truth), `reliability`, `reliability_uncalibrated`,
    `threshold` (multi-label: one number, or one for each class), `temperature`, `undefined` (the classes whose
    metrics can't be told)."""

    def to_json(self) -> dict[str, dict[str, float | None]]:
        """Return {metric: {"value", "low", "high"}} with null for what is undefined."""
        return {name: found.to_json() for name, found in self.metrics.items()}


def evaluate(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str], task: ImageTask, *,
             temperature: float = 1.0, groups: Sequence[object] | None = None, weights: np.ndarray | None = None,
             seed: int = 0, resamples: int = 1000) -> Evaluation:
    """Return every metric of the task with its 95 % bootstrap interval, and the details behind them.

    logits: float [N, C]. labels: int [N], or 0/1 [N, C] for multi-label. weights: float [N].
    groups: the group of each sample; where given, the bootstrap draws groups. resamples: 0 leaves intervals undefined.
    Raises DataError where there is no sample, or a logit is not finite.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    _refuse(logits, labels)
    labels = labels.astype(np.int64)
    calibrated, plain = task.probabilities(logits, temperature), task.probabilities(logits)
    predicted = task.decide(calibrated)
    score = scorer(labels, calibrated, predicted=predicted)
    score_plain = scorer(labels, plain, predicted=predicted, names=[ERROR])

    def both(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {**score(rows), f"{ERROR}_uncalibrated": score_plain(rows)[ERROR]}

    base = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    values = both(base[None])
    replicates = bootstrap(both, len(labels), resamples=resamples, seed=seed, groups=groups, weights=base)
    size = effective_size(len(labels), groups=groups, weights=base)
    metrics = {name: interval(name, float(values[name][0]), replicates.get(name, np.zeros(0)), size=size)
               for name in names_for("classification" if labels.ndim == 1 else "multilabel", len(classes))}
    details = {
        **_classwise(labels, calibrated, predicted, classes, base), "temperature": temperature,
        "reliability": reliability(labels, calibrated, predicted, weights=base),
        "reliability_uncalibrated": reliability(labels, plain, predicted, weights=base),
    }
    if labels.ndim == 2:
        details["threshold"] = getattr(task, "threshold", 0.5)
    return Evaluation(metrics, details)


def _refuse(logits: np.ndarray, labels: np.ndarray) -> None:
    if not len(labels):
        raise DataError("there is no image to evaluate on: the split is empty. Give it images, or split anew.")
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise DataError(f"{broken} of {len(logits)} images have logits that are NaN or infinite, so no metric would "
                        "mean anything. The weights are damaged or training diverged: train anew at a lower rate.")


def _classwise(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, classes: Sequence[str],
               weights: np.ndarray) -> dict[str, Any]:
    """Return `per_class`, `confusion` and `undefined`. A class without an image in the split has null metrics."""
    indices = np.arange(len(classes))
    truth, given = ((part[:, None] == indices if labels.ndim == 1 else part > 0) for part in (labels, predicted))
    counts = count(truth, given, weights[None])
    auroc, precision = (values[0] for values in ranking(truth, probabilities)(weights[None]))
    found = {name: values[0] for name, values in per_class(counts).items()}
    seen = counts.true[0] > 0
    rows = {}
    for c, name in enumerate(classes):
        rows[name] = {metric: _number(values[c]) if seen[c] else None for metric, values in found.items()}
        rows[name] |= {"support": int(truth[:, c].sum()), "auroc": _number(auroc[c]),
                       "average_precision": _number(precision[c])}
    result: dict[str, Any] = {"per_class": rows, "undefined": [n for n, s in zip(classes, seen, strict=True) if not s]}
    if labels.ndim == 1:
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (labels, predicted), 1)
        return {**result, "confusion": confusion.tolist()}
    pairs = [(labels[:, c], predicted[:, c]) for c in indices]
    # Multi-label: for each label [[true negative, false positive], [false negative, true positive]].
    return {**result, "confusion": [[[int(((t == a) & (p == b)).sum()) for b in (0, 1)] for a in (0, 1)]
                                    for t, p in pairs]}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
