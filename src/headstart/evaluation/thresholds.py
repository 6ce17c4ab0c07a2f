"""Thresholds: from which probability on each label is given, chosen on validation.

# N samples, C classes
"""

from __future__ import annotations

import numpy as np

DEFAULT = 0.5
EQUAL = 1e-12
"""F1 values that differ by less are the same: weighted sums round."""


def choose_thresholds(labels: np.ndarray, probabilities: np.ndarray, *,
                      weights: np.ndarray | None = None) -> tuple[float, ...]:
    """Return the threshold of each class, in 0..1 exclusive, that gives the best F1; of equal ones that nearest 0.5.

    labels: 0/1 [N, C]. probabilities: float [N, C] in 0..1. weights: float [N].
    A label is given where its probability reaches the threshold. All that can make a difference are tried: 0.5, the
    middle between each two neighbouring scores, and below the lowest. A class without both outcomes keeps 0.5.
    F1 has no closed form for the best threshold, but it depends on the class alone, so that macro F1 is best, too.
    Source: Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML 2014.
    """
    base = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    present, scores = np.asarray(labels) > 0, np.asarray(probabilities, np.float64)
    return tuple(_best(present[:, c], scores[:, c], base) for c in range(present.shape[1]))


def _best(present: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Return the threshold of one class. present: bool [N]. scores, weights: float [N]."""
    if not (weights[present].sum() and weights[~present].sum()):
        return DEFAULT
    return best_for_f1(present, scores, weights, positives=float(weights[present].sum()))


def best_for_f1(right: np.ndarray, scores: np.ndarray, weights: np.ndarray, *, positives: float) -> float:
    """Return the threshold in 0..1 exclusive with the best F1, of equal ones that nearest 0.5.

    right: bool [N], whether what is given there is right. scores, weights: float [N]. positives: the weight of all
    that is to be found, which may be more than what has a score (a detector misses objects).
    """
    order = np.argsort(scores)
    ordered, hits, given = scores[order], (weights * right)[order], weights[order]
    candidates = _candidates(np.unique(ordered))
    first = np.searchsorted(ordered, candidates, side="left")
    # The sum over all samples from `first` on: what the threshold gives.
    right_from, given_from = (np.append(np.cumsum(part[::-1])[::-1], 0.0)[first] for part in (hits, given))
    f1 = 2 * right_from / (given_from + positives)
    best = candidates[f1 >= f1.max() - EQUAL]
    return float(best[np.abs(best - DEFAULT).argmin()])


def _candidates(distinct: np.ndarray) -> np.ndarray:
    """Return thresholds in 0..1 exclusive, ascending, one for each way to divide the distinct scores [K] in two."""
    below = np.append(0.0, distinct[:-1])
    middle = below + (distinct - below) / 2
    # Between neighbours among the floats there is no middle: the upper one itself divides them.
    middle = np.where(middle > below, middle, distinct)
    return np.unique(np.append(middle[(middle > 0) & (middle < 1)], DEFAULT))
