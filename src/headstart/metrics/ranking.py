"""AUROC and average precision for many weightings of the same samples at once, with ties.

# N samples, C classes, R weightings, P positives of one class
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def ranking(truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a function from weights [R, N] to AUROC and average precision, both float64 [R, C].

    truth: bool [N, C]. scores: float [N, C]. The sorting is done once, here.
    NaN where a class has no positive weight, and for AUROC also where it has no negative weight.
    Sources: Hanley & McNeil, Radiology 1982 (AUROC as a rank statistic, ties count one half);
    average precision as in scikit-learn: the sum of recall steps times precision, without interpolation.
    """
    columns = [_column(truth[:, c], scores[:, c]) for c in range(truth.shape[1])]

    def of(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        by_sample = np.ascontiguousarray(weights.T)  # rows are gathered whole
        found = [column(by_sample) for column in columns]
        return np.stack([a for a, _ in found], axis=1), np.stack([p for _, p in found], axis=1)

    return of


def _column(truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the two metrics of one class as a function of weights [N, R]."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], np.flatnonzero(truth[order])
    # Each positive shares its score with the samples first..last; all positives before it rank at least as high.
    first = np.searchsorted(-ranked, -ranked[positive], side="left")
    last = np.searchsorted(-ranked, -ranked[positive], side="right")
    # Sums are needed at these places only; adding up the blocks between them is much faster than a sum at each row.
    edges = np.unique(np.concatenate([[0], first, last]))
    edges = edges[edges < len(ranked)]
    first_edge, last_edge = np.searchsorted(edges, first), np.searchsorted(edges, last)
    first_positive, last_positive = np.searchsorted(positive, first), np.searchsorted(positive, last)

    def of(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ranks = weights[order]
        mine = ranks[positive]
        everything, positives = _running(np.add.reduceat(ranks, edges, axis=0)), _running(mine)
        above, through = everything[first_edge], everything[last_edge]
        above_positive, through_positive = positives[first_positive], positives[last_positive]
        total_positive = positives[-1]
        total_negative = everything[-1] - total_positive
        negatives_above = ((above - above_positive) + (through - through_positive)) / 2  # a tie counts one half
        with np.errstate(invalid="ignore", divide="ignore"):
            wins = (mine * (total_negative - negatives_above)).sum(axis=0)
            auroc = wins / (total_positive * total_negative)
            precision = np.where(through > 0, through_positive / through, 0)
            average_precision = (mine * precision).sum(axis=0) / total_positive
        return auroc, average_precision

    return of


def _running(values: np.ndarray) -> np.ndarray:
    """Return the sum before each row, and last that of all: [N, R] -> [N + 1, R]."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums
