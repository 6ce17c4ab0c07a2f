"""Round trip: what answers on a target teach of the source, whose labels are known; nothing else about a target can be
checked by labels.

# N source images, M target images, D features, C classes
"""

from __future__ import annotations

import numpy as np

from headstart.probabilities import beyond_chance

PENALTY = 1.0
"""Of the regression, for features of unit variance on average; times the number of images."""


def taught(points: np.ndarray, labels: np.ndarray, others: np.ndarray, *, classes: int, penalty: float = PENALTY,
           weights: np.ndarray | None = None) -> np.ndarray:
    """Return int64 [n], the classes of other points by a ridge regression to the classes that learned the labels.

    points: float [m, D], labels: int [m], others: float [n, D]. The features of both sets are taken about their own
    means, so that a shift alone changes nothing. weights: float64 [n], sum 1, of the others in theirs; None: all alike.
    """
    own = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    scale = own.std() or 1.0
    told = np.eye(classes)[labels]
    shares = told.mean(axis=0)
    learned = ridge(own / scale, told - shares, penalty * len(own))
    theirs = others.astype(np.float64)
    theirs = theirs - (theirs.mean(axis=0) if weights is None else weights @ theirs)
    return np.asarray((theirs / scale @ learned + shares).argmax(axis=1))


def returned(source: np.ndarray, labels: np.ndarray, target: np.ndarray, answers: np.ndarray, *, classes: int,
             penalty: float = PENALTY, weights: np.ndarray | None = None) -> float:
    """Return how often what learned the answers on the target is right on the source, beyond chance; at most 1.

    source: float [N, D], labels: int [N], target: float [M, D], answers: int [M]. weights: float64 [N], sum 1, of the
    source's images; None: all alike. Chance is taken off as in Cohen's kappa, by the shares of labels and answers.
    """
    found = taught(target, answers, source, classes=classes, penalty=penalty, weights=weights)
    observed = float(np.average(found == labels, weights=weights))
    shares = [np.bincount(rows, weights=weights, minlength=classes) for rows in (found, labels)]
    by_chance = float(shares[0] @ shares[1] / (shares[0].sum() * shares[1].sum()))
    return beyond_chance(observed, by_chance)


def as_answered(labels: np.ndarray, answers: np.ndarray, *, classes: int) -> np.ndarray | None:
    """Return float64 [N], sum 1, with which the source's classes stand in the shares of the answers on the target.

    labels: int [N], answers: int [M]. None where no image of the source is of a class that is answered.
    """
    counts = np.bincount(labels, minlength=classes)
    shares = np.bincount(answers, minlength=classes) / np.maximum(counts, 1)
    found = shares[labels].astype(np.float64)
    return found / found.sum() if found.sum() > 0 else None


def way_back(source: np.ndarray, labels: np.ndarray, target: np.ndarray, answers: np.ndarray, *, classes: int,
             weighted: bool = False) -> float:
    """Return how much of what labels teach about the source the answers on the target teach, too; 0..1.

    The accuracy on the source of what learned the answers, by that of what learned the labels of every other image of
    each class of the source and is asked about the rest; 1 where it is no lower, or where those labels teach nothing.
    source: float [N, D], labels: int [N], target: float [M, D], answers: int [M]. weighted: let the source's classes
    stand in the shares of the answers, as `as_answered`: what is not answered does not count; 0 where that is all.
    """
    weights = as_answered(labels, answers, classes=classes) if weighted else np.full(len(labels), 1 / len(labels))
    if weights is None:
        return 0.0
    shown = np.flatnonzero(weights)
    source, labels, weights = source[shown], labels[shown], weights[shown]
    found = taught(target, answers, source, classes=classes, weights=weights)
    there = float(np.average(found == labels, weights=weights))
    half = np.zeros(len(labels), bool)
    half[np.argsort(labels, kind="stable")[::2]] = True
    if half.all():
        return 1.0  # one image has no other to learn from
    home = float(np.mean([_right(source, labels, weights, one, classes) for one in (half, ~half)]))
    return min(1.0, there / home) if home else 1.0


def _right(source: np.ndarray, labels: np.ndarray, weights: np.ndarray, one: np.ndarray, classes: int) -> float:
    """Return how often, by weight, what learned one part of the source is right on the rest."""
    rest = weights[~one] / weights[~one].sum()
    found = taught(source[one], labels[one], source[~one], classes=classes, weights=rest)
    return float(np.average(found == labels[~one], weights=rest))


def ridge(points: np.ndarray, values: np.ndarray, penalty: float) -> np.ndarray:
    """Return float64 [D, C], the w that makes |points w - values|^2 + penalty |w|^2 least, by the smaller system.

    points: float64 [M, D]. values: float64 [M, C].
    """
    images, width = points.shape
    if images <= width:
        kernel = points @ points.T
        kernel[np.diag_indices(images)] += penalty
        return np.asarray(points.T @ np.linalg.solve(kernel, values))
    covariance = points.T @ points
    covariance[np.diag_indices(width)] += penalty
    return np.asarray(np.linalg.solve(covariance, points.T @ values))
