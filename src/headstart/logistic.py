"""Logistic regression on features along a path of penalties; the one door to scikit-learn's solver.

# N samples, D features, C classes
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch

from headstart.heads import LinearHead

Fit = TypeVar("Fit")
PENALTIES = tuple(float(l2) for l2 in np.logspace(1, -5, 13))
"""From strong to weak, two a decade, for the mean loss on features of unit scale."""
PATIENCE = 2
"""The path ends after so many penalties in a row that are worse on validation."""
TOLERANCE = 1e-5
ITERATIONS = 1000
# Above this many values the features stay float32: half a gigabyte is enough for a copy.
LARGEST_DOUBLE = 2**26


@dataclass(frozen=True)
class LinearFit:
    """A linear classifier on raw features: logits = features @ weights.T + bias."""

    weights: np.ndarray
    """float64 [C, D]."""
    bias: np.ndarray
    """float64 [C]."""
    l2: float
    converged: bool

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return float64 [N, C]."""
        return np.asarray(features @ self.weights.T + self.bias)

    def head(self) -> LinearHead:
        """Return it as a head in float32 that reads raw features."""
        head = LinearHead(self.weights.shape[1], self.weights.shape[0])
        with torch.no_grad():
            head.linear.weight.copy_(torch.from_numpy(self.weights))
            head.linear.bias.copy_(torch.from_numpy(self.bias))
        return head.eval()


def fit_path(features: np.ndarray, targets: np.ndarray, *, classes: int, weights: np.ndarray,
             penalties: Iterable[float]) -> Iterator[LinearFit]:
    """Yield the minimiser of `mean weighted loss + l2 / 2 * |W|^2` for each penalty, each started from the last.

    features: float [N, D]; they are centred and brought to one common scale, on which the penalty acts.
    targets: int64 [N] (softmax) or 0/1 [N, C] (one sigmoid a class).
    weights: float [N] or, for 0/1 targets, [N, C]; each column is a set of sample weights, not all 0.
    Deterministic: L-BFGS on one thread, from zero. Needs two classes among int targets.
    Source of the objective: Bishop, "Pattern Recognition and Machine Learning", 4.3.4; the path from strong to weak
    with warm starts: Friedman et al., "Regularization Paths for Generalized Linear Models", 2010.
    """
    mean, scale = moments(features)
    kind = np.float64 if features.size <= LARGEST_DOUBLE else np.float32
    standard = ((features - mean.astype(features.dtype)) / features.dtype.type(scale)).astype(kind)
    solve = _Softmax if targets.ndim == 1 else _Sigmoids
    solver = solve(standard, targets, classes, weights)
    for l2 in penalties:
        coefficients, intercepts, converged = solver.fit(l2)
        folded = coefficients / scale
        yield LinearFit(folded, intercepts - folded @ mean, l2, converged)


def likeliest(path: Iterable[Fit], loss: Callable[[Fit], float], *, stop: Callable[[], bool] = lambda: False) -> Fit:
    """Return the fit with the lowest loss, the first of equals; the path is left when it gets worse, or on `stop`."""
    best: Fit | None = None
    lowest, worse = np.inf, 0
    for fit in path:
        value = loss(fit)
        if best is None or value < lowest:
            best, lowest, worse = fit, value, 0
        else:
            worse += 1
        if worse >= PATIENCE or stop():
            break
    assert best is not None, "a path has at least one penalty"
    return best


def moments(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return float64 [D], the mean, and one scale: the root of the mean variance over all features.

    The scale is infinite where nothing varies.
    One scale for all, not one for each: dividing by the deviation of a feature that hardly ever fires gives weights in
    the thousands, which do worse on held-out images and blow up as soon as fine-tuning moves the features.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(features.var(axis=0, dtype=np.float64).mean()))
    # Rounding noise of features that do not vary is no signal.
    return mean, scale if scale > 1e-6 * float(np.abs(mean).max(initial=0.0)) else np.inf


class _Softmax:
    """Multinomial logistic regression on scaled features."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, classes: int, weights: np.ndarray) -> None:
        self.features, self.targets, self.classes, self.weights = features, targets, classes, weights
        self.estimator = _estimator()

    def fit(self, l2: float) -> tuple[np.ndarray, np.ndarray, bool]:
        converged = _refit(self.estimator, self.features, self.targets, self.weights, l2)
        found, coefficients, intercepts = self.estimator.classes_, self.estimator.coef_, self.estimator.intercept_
        if len(found) == 2:
            # Two classes come as one log odds z; the symmetric logits -z/2 and z/2 have the same softmax.
            coefficients = np.stack([-coefficients[0] / 2, coefficients[0] / 2])
            intercepts = np.array([-intercepts[0] / 2, intercepts[0] / 2])
        everything = np.zeros((self.classes, self.features.shape[1]))
        everything[found] = coefficients
        bias = np.full(self.classes, self._floor(coefficients, intercepts))
        bias[found] = intercepts
        return everything, bias, converged

    def _floor(self, coefficients: np.ndarray, intercepts: np.ndarray) -> float:
        """Return the bias of a class that was never seen: at most 1 / (N + C) likely on every training sample."""
        logits = self.features @ coefficients.T + intercepts
        smallest = np.logaddexp.reduce(logits, axis=1).min()
        return float(smallest - np.log(len(self.targets) + self.classes))


class _Sigmoids:
    """One binary logistic regression for each label on scaled features."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, classes: int, weights: np.ndarray) -> None:
        self.features, self.targets = features, targets.astype(np.int64)
        self.weights = weights if weights.ndim == 2 else np.repeat(weights[:, None], classes, axis=1)
        self.estimators = [_estimator() for _ in range(classes)]

    def fit(self, l2: float) -> tuple[np.ndarray, np.ndarray, bool]:
        everything = np.zeros((len(self.estimators), self.features.shape[1]))
        bias = np.zeros(len(self.estimators))
        converged = True
        for c, estimator in enumerate(self.estimators):
            target, weight = self.targets[:, c], self.weights[:, c]
            if target.min() == target.max():
                # No boundary to learn: the rate, with half a sample for the side that was never seen.
                odds = np.log(2 * len(target) + 1)
                bias[c] = odds if target[0] else -odds
                continue
            converged &= _refit(estimator, self.features, target, weight, l2)
            everything[c], bias[c] = estimator.coef_[0], estimator.intercept_[0]
        return everything, bias, converged


def _estimator() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="lbfgs", warm_start=True, tol=TOLERANCE, max_iter=ITERATIONS)


@cache
def _threads() -> Any:
    """Return what holds the threads of BLAS and OpenMP. Finding their libraries takes 9 ms, about as long as a fit."""
    from threadpoolctl import ThreadpoolController

    _estimator()  # so that scikit-learn's own libraries are loaded
    return ThreadpoolController()


def _refit(estimator: Any, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, l2: float) -> bool:
    """Fit from where the estimator stands; return whether it converged."""
    from sklearn.exceptions import ConvergenceWarning

    # scikit-learn sums the loss and divides the ridge by C; with unit-sum weights C = 1 / l2 is the mean objective.
    estimator.C = 1 / l2
    # One thread: the same bits on any number of cores, and on busy ones the threads of BLAS and OpenMP spent
    # 15 times longer waiting for each other than computing (1,000 x 1,280 on 2 cores: 2 s a penalty, 0.13 s with one).
    with _threads().limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported by the return value
        # Many classes of few images are what this is for, and labels of int are no sign of a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        estimator.fit(features, targets, sample_weight=weights / weights.sum())
    return bool(np.max(estimator.n_iter_) < ITERATIONS)
