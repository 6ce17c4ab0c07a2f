"""TransRate: how many more bits describe all features than describe those of each class."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.scores.score import Score
from headstart.scores.spectrum import scatter


class TransRate(Score):
    """R(f) - sum over c of (n_c / N) R(f_c), R(Z) = 1/2 log det(I + Z'Z / (n epsilon)), f centred; at least 0.

    Source: Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022.
    """

    epsilon: float = Field(1e-4, gt=0)
    """Squared distortion that the description may have."""

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> float:
        """Return the difference, in nats."""
        mean = features.mean(axis=0, dtype=np.float64)
        order = np.argsort(labels, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        within = sum(len(rows) / len(labels) * self.rate(features[rows], mean) for rows in parts)
        return self.rate(features, mean) - within

    def rate(self, features: np.ndarray, mean: np.ndarray) -> float:
        """Return the rate of float [n, D] around `mean`, in nats."""
        count, width = features.shape
        if count < width:
            shifted = features.astype(np.float64) - mean
            gram = shifted @ shifted.T
        else:
            gram = scatter(features, mean)
        return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (count * self.epsilon))[1]) / 2
