"""Every metric of one set of predictions, for many weightings of its samples at once (which is a bootstrap).

# N samples, C classes, R weightings
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from headstart.errors import ConfigError
from headstart.metrics.calibrated import binned_gaps, brier_scores, confidences, log_losses
from headstart.metrics.decisions import agreement, averaged, count, mean_defined, per_image, ratio
from headstart.metrics.ranking import ranking
from headstart.metrics.registry import metric, names_for

Scorer = Callable[[np.ndarray], dict[str, np.ndarray]]
RANKING = {"auroc", "average_precision"}


def compute(labels: np.ndarray, probabilities: np.ndarray, *, predicted: np.ndarray | None = None,
            names: Iterable[str] | None = None, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return {name: float64 [R]}, the value of each metric under each weighting.

    labels: int [N] class indices, or 0/1 [N, C] for multi-label. probabilities: float [N, C] in 0..1.
    predicted: decisions in the shape of the labels; None takes the most probable class, or 0.5 and more.
    weights: float [R, N], not negative; None is one row of ones.
    names: None is all that the task has, but for `expected_calibration_error_uncalibrated`, which needs other
    probabilities. NaN where a metric is undefined. Raises ConfigError for an unknown name.
    """
    rows = np.ones((1, len(labels))) if weights is None else np.atleast_2d(np.asarray(weights, np.float64))
    return scorer(labels, probabilities, predicted=predicted, names=names)(rows)


def scorer(labels: np.ndarray, probabilities: np.ndarray, *, predicted: np.ndarray | None = None,
           names: Iterable[str] | None = None) -> Scorer:
    """Return a function from weights [R, N] to the metrics; what does not depend on the weights is done once."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    task = "classification" if labels.ndim == 1 else "multilabel"
    offered = [n for n in names_for(task, probabilities.shape[1]) if not n.endswith("_uncalibrated")]
    wanted = offered if names is None else list(names)
    for name in wanted:
        if metric(name).name not in offered:
            raise ConfigError(f'the metric "{name}" does not exist for {task} with {probabilities.shape[1]} classes. '
                              f"Choices: {', '.join(offered)}.")
    if predicted is None:
        predicted = probabilities.argmax(axis=1) if labels.ndim == 1 else (probabilities >= 0.5).astype(np.int64)
    of_decisions = (_single if labels.ndim == 1 else _several)(labels, probabilities, predicted)
    of_ranking = ranking(_indicator(labels, probabilities.shape[1]), probabilities) if RANKING & set(wanted) else None
    of_probabilities = _probabilistic(labels, probabilities, predicted)

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {**of_decisions(weights), **of_probabilities(weights)}
        if of_ranking is not None:
            auroc, precision = of_ranking(weights)
            found |= {"auroc": mean_defined(auroc), "average_precision": mean_defined(precision)}
        empty = weights.sum(axis=1) <= 0
        return {name: np.where(empty, np.nan, found[name]) for name in wanted}

    return score


def hits(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Return bool [N]: the class is among the k most probable; of equal ones the first, as in the decision."""
    mine = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = ((probabilities > mine) | ((probabilities == mine) & earlier)).sum(axis=1)
    return np.asarray(rank < k)


def _single(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray) -> Scorer:
    classes = probabilities.shape[1]
    truth, given = _indicator(labels, classes), _indicator(predicted, classes)
    shares = {"accuracy": labels == predicted, "top_3_accuracy": hits(labels, probabilities, 3),
              "top_5_accuracy": hits(labels, probabilities, 5)}

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        counts, total = count(truth, given, weights), weights.sum(axis=1)
        return {**_means(shares, weights), **averaged(counts), **agreement(counts, total)}

    return score


def _several(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray) -> Scorer:
    wrong = labels != predicted
    shares = {"subset_accuracy": ~wrong.any(axis=1), "hamming_loss": wrong.mean(axis=1)}
    shares |= {f"{name}_samples": values for name, values in per_image(labels, predicted).items()}

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {**_means(shares, weights), **averaged(count(labels, predicted, weights))}

    return score


def _probabilistic(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray) -> Scorer:
    gaps = binned_gaps(*confidences(labels, probabilities, predicted))
    shares = {"log_loss": log_losses(labels, probabilities), "brier": brier_scores(labels, probabilities)}

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        error = ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))
        return {**_means(shares, weights), "expected_calibration_error": error}

    return score


def _means(values: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weighted mean of each per-sample value, float64 [R]."""
    total = weights.sum(axis=1)
    return {name: ratio(weights @ value.astype(np.float64), total) for name, value in values.items()}


def _indicator(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return bool [N, C]."""
    return labels[:, None] == np.arange(classes) if labels.ndim == 1 else labels > 0
