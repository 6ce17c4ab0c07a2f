"""TransRate: how many more bits describe all features than describe those of each class."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.scores.score import Groups, Score, blocks


class TransRate(Score):
    """R(f) - sum over c of (n_c / N) R(f_c), R(Z) = 1/2 log det(I + Z'Z / (n epsilon)), f centred; at least 0.

    Source: Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022.
    """

    epsilon: float = Field(1e-4, gt=0)
    """Squared distortion that the description may have."""

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the difference, in nats."""
        mean = features.mean(axis=0, dtype=np.float64)
        order = np.argsort(labels, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        within = sum(len(rows) / len(labels) * self.rate(features, rows, mean) for rows in parts)
        return self.rate(features, np.arange(len(labels)), mean) - within

    def rate(self, features: np.ndarray, rows: np.ndarray, mean: np.ndarray) -> float:
        """Return the rate of some rows of float [N, D] around `mean`, in nats."""
        count, width = len(rows), features.shape[1]
        gram = np.zeros((min(count, width), min(count, width)))
        if count < width:
            shifted = features[rows].astype(np.float64) - mean
            gram += shifted @ shifted.T
        else:
            for some in blocks(rows):
                shifted = features[some].astype(np.float64) - mean
                gram += shifted.T @ shifted
        return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (count * self.epsilon))[1]) / 2
