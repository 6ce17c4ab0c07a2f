"""Metrics of decisions, from weighted counts: accuracy, precision, recall, F1, kappa, MCC.

# N samples, C classes, R weightings
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Values = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Counts:
    """Weighted counts of each class."""

    right: np.ndarray
    """float64 [R, C]: true and given."""
    true: np.ndarray
    """float64 [R, C]."""
    given: np.ndarray
    """float64 [R, C]."""


def count(truth: np.ndarray, given: np.ndarray, weights: np.ndarray) -> Counts:
    """Return the counts from truth and given, 0/1 [N, C], and weights [R, N]."""
    truth, given = truth.astype(np.float64), given.astype(np.float64)
    return Counts(weights @ (truth * given), weights @ truth, weights @ given)


def ratio(a: np.ndarray, b: np.ndarray, *, empty: float = 0.0) -> np.ndarray:
    """Return a / b, and `empty` where b is 0."""
    return np.divide(a, b, out=np.full(np.broadcast_shapes(a.shape, b.shape), empty), where=b != 0)


def per_class(counts: Counts) -> Values:
    """Return precision, recall and F1, float64 [R, C], with 0 for a division by 0, as scikit-learn's default."""
    return {"precision": ratio(counts.right, counts.given), "recall": ratio(counts.right, counts.true),
            "f1": ratio(2 * counts.right, counts.true + counts.given)}


def averaged(counts: Counts) -> Values:
    """Return precision, recall and F1 with macro, micro and weighted averages, float64 [R] each.

    Macro leaves out the classes that are neither true nor given anywhere: they say nothing of the model.
    """
    occurs = (counts.true + counts.given > 0).astype(np.float64)
    pooled = per_class(Counts(*(part.sum(axis=1, keepdims=True) for part in (counts.right, counts.true, counts.given))))
    values = {}
    for name, found in per_class(counts).items():
        values[f"{name}_macro"] = mean(found, occurs)
        values[f"{name}_micro"] = pooled[name][:, 0]
        values[f"{name}_weighted"] = mean(found, counts.true)
    return values


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean over the last axis, NaN where all weights are 0."""
    return ratio((values * weights).sum(axis=-1), weights.sum(axis=-1), empty=np.nan)


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of the values that are not NaN; NaN where there is none."""
    defined = ~np.isnan(values)
    return mean(np.where(defined, values, 0.0), defined.astype(np.float64))


def agreement(counts: Counts, total: np.ndarray) -> Values:
    """Return balanced accuracy, Cohen's kappa and MCC, float64 [R] each, of single-label decisions.

    total: float64 [R]. Kappa is NaN where chance alone agrees fully; MCC is 0 where truth or decision is constant.
    Sources: Cohen 1960; Gorodkin, Comput. Biol. Chem. 2004 (the multi-class MCC).
    """
    right, chance = counts.right.sum(axis=1), (counts.true * counts.given).sum(axis=1)
    spread = [total**2 - (part**2).sum(axis=1) for part in (counts.true, counts.given)]
    recall = ratio(counts.right, counts.true, empty=np.nan)
    return {"balanced_accuracy": mean_defined(recall),
            "cohen_kappa": ratio(right * total - chance, total**2 - chance, empty=np.nan),
            "mcc": ratio(right * total - chance, np.sqrt(spread[0] * spread[1]))}


def per_image(truth: np.ndarray, given: np.ndarray) -> Values:
    """Return precision, recall and F1 of each image over its labels, float64 [N]; 0 where there is nothing."""
    counts = Counts(*(part.sum(axis=1).astype(np.float64) for part in (truth * given, truth, given)))
    return per_class(counts)
