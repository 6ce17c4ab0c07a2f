"""Calibration: the temperature that makes probabilities honest, and the bins that show whether they are.

# N samples, C classes
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.metrics.calibrated import BINS, bin_of, confidences, log_losses
from headstart.tasks.task import ImageTask

COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: np.ndarray, labels: np.ndarray, task: ImageTask, *,
                    weights: np.ndarray | None = None, coldest: float = COLDEST) -> float:
    """Return the temperature in `coldest`..20 that minimises the log loss of validation logits; 1.0 if none is better.

    logits: float [N, C]. labels: int [N], or 0/1 [N, C]. weights: float [N].
    The loss is convex in 1/T, so it has one valley in log T too. With few samples, all of them right, the minimum runs
    off to T -> 0, which would claim certainty: T may go no lower than 1 / (1 + N / 50), and no higher than 1 + N / 50.
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    count = len(labels)
    if not count:
        return 1.0

    def loss(log_temperature: float) -> float:
        probabilities = task.probabilities(logits, float(np.exp(log_temperature)))
        return float(np.average(log_losses(labels, probabilities), weights=weights))

    reach = np.log1p(count / 50)
    bounds = (max(np.log(coldest), -reach), min(np.log(HOTTEST), reach))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x)) if loss(found.x) < loss(0.0) else 1.0


def reliability(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, *,
                weights: np.ndarray | None = None) -> dict[str, Any]:
    """Return {"bins": [{low, high, count, confidence, accuracy}]}, 15 of equal width; null where a bin is empty.

    Multi-label: every image and label is one claim. count: the (weighted) number of claims in the bin.
    """
    claimed, so = confidences(labels, probabilities, predicted)
    base = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    each = np.broadcast_to(base[:, None], claimed.shape).ravel()
    where = bin_of(claimed).ravel()
    count, sure, right = (np.bincount(where, weights=each * values, minlength=BINS)
                          for values in (np.ones(claimed.size), claimed.ravel(), so.ravel()))
    return {"bins": [{"low": b / BINS, "high": (b + 1) / BINS, "count": float(count[b]),
                      "confidence": float(sure[b] / count[b]) if count[b] else None,
                      "accuracy": float(right[b] / count[b]) if count[b] else None} for b in range(BINS)]}
