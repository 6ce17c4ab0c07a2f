"""Held out: what a linear probe says of each image when it was fitted without it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, log_softmax, softmax

from headstart.errors import DataError
from headstart.logistic import PENALTIES, LinearFit, fit_path, likeliest, moments

# N samples, D features, C classes

FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """The answers of a cross-validated probe."""

    logits: np.ndarray
    """float64 [N, C], each row from a fit that had not seen the image, nor another of its group."""
    l2: float
    """The penalty, the same in all folds, with the lowest held-out log loss."""
    labels: np.ndarray
    """As they were given: int64 [N], or 0/1 [N, C]."""

    def probabilities(self) -> np.ndarray:
        """Return float64 [N, C]: rows that sum to 1, or one probability for each label."""
        return np.asarray(softmax(self.logits, axis=1) if self.labels.ndim == 1 else expit(self.logits))

    def losses(self) -> np.ndarray:
        """Return float64 [N]: the log loss of each image, for multi-label the mean over the labels."""
        return log_losses(self.logits, self.labels)

    def correct(self) -> np.ndarray:
        """Return float64 [N]: 1 where the class is right, else 0; for multi-label the share of right labels."""
        if self.labels.ndim == 1:
            return np.asarray(self.logits.argmax(axis=1) == self.labels, np.float64)
        return np.asarray(((self.logits > 0) == (self.labels > 0.5)).mean(axis=1))


def held_out(features: np.ndarray, labels: np.ndarray, *, classes: int, folds: int = FOLDS, seed: int = 0,
             groups: Sequence[str] | None = None, penalties: Iterable[float] = PENALTIES) -> HeldOut:
    """Return the held-out answers for float [N, D] features and int64 [N] or 0/1 [N, C] labels.

    Folds are stratified by class as far as the classes reach; images of one group share a fold. Fewer images (or
    groups) than folds: each is held out alone. Needs two images, and two classes (or a label that varies).
    Raises DataError where all images are of one group.
    """
    points, chosen = reduced(features), tuple(penalties)
    # The penalty acts on one scale, the mean variance over the columns; with fewer columns it is larger by as much.
    inner = tuple(l2 * points.shape[1] / features.shape[1] for l2 in chosen)
    found = answers(points, labels, list(divide(labels, folds, seed=seed, groups=groups)), classes=classes,
                    penalties=inner)
    return replace(found, l2=chosen[inner.index(found.l2)])


def answers(points: np.ndarray, labels: np.ndarray, parts: Sequence[tuple[np.ndarray, np.ndarray]], *, classes: int,
            penalties: Iterable[float] = PENALTIES) -> HeldOut:
    """Return what is said of the rows that each part holds out by a fit on its other rows; each row is held out once.

    points: float [N, D]. parts: (rows to fit on, rows held out); those to fit on may be any, such as a subset.
    """
    chosen = tuple(penalties)
    paths = zip(*(_path(points[rest], labels[rest], classes, chosen) for rest, _ in parts), strict=True)

    def logits(fits: Sequence[LinearFit]) -> np.ndarray:
        found = np.empty((len(labels), classes))
        for fit, (_, left) in zip(fits, parts, strict=True):
            found[left] = fit.logits(points[left])
        return found

    best = likeliest(paths, lambda fits: float(log_losses(logits(fits), labels).mean()))
    return HeldOut(logits(best), best[0].l2, labels)


def _path(features: np.ndarray, labels: np.ndarray, classes: int, penalties: Sequence[float]) -> Iterator[LinearFit]:
    """Return the fits, from strong penalty to weak; where one class is all there is, that one is always named."""
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        bias = np.full(classes, -np.log(len(labels) + classes))
        bias[labels[:1]] = 0.0
        return iter([LinearFit(np.zeros((classes, features.shape[1])), bias, l2, True) for l2 in penalties])
    return fit_path(features, labels, classes=classes, weights=np.ones(len(labels)), penalties=penalties)


def log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return float64 [N] from logits [N, C]: softmax for int labels [N], sigmoids for 0/1 labels [N, C]."""
    if labels.ndim == 1:
        return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels])
    return np.asarray((np.logaddexp(0, logits) - labels * logits).mean(axis=1))


def reduced(features: np.ndarray) -> np.ndarray:
    """Return the features in the space that they span, where they are fewer than their length: [N, min(N, D)].

    A ridge probe does not see the rotation: all inner products stay as they are.
    """
    if len(features) >= features.shape[1]:
        return features
    mean, scale = moments(features)
    if np.isinf(scale):
        return np.zeros((len(features), 1))  # constant: what the rotation would find is rounding noise
    left, values, _ = np.linalg.svd(features.astype(np.float64) - mean, full_matrices=False)
    return np.asarray(left * values)


def divide(labels: np.ndarray, folds: int, *, seed: int,
           groups: Sequence[str] | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows to fit on, rows held out), each row held out once.

    Multi-label images are stratified by their whole set of labels.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kinds = labels if labels.ndim == 1 else np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    units = len(labels) if groups is None else len(set(groups))
    if units < 2:
        raise DataError("held out: all images are of one group, or there is just one; a probe needs some to be fitted "
                        "on and others to be asked about. Give at least two groups.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds is no mistake here
        if np.bincount(kinds).max() < folds:  # scikit-learn wants one class at least as large as the folds
            kinds = np.zeros(len(labels), np.int64)
        made = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
            min(folds, units), shuffle=True, random_state=seed)
        yield from made.split(np.zeros(len(labels)), kinds, groups)
