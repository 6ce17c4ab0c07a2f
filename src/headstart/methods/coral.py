"""Coral: give the source's features the mean and covariance of the target's, and fit the head to them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace

# N source images, M target images, D features


class Coral(FeatureSpace):
    """Whitens the source's features and colours them as the target's are: x -> (x - m_s) C_s^(-1/2) C_t^(1/2) + m_t.

    Both covariances get `shrinkage` times their mean variance on the diagonal.
    Source: Sun, Feng & Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016, algorithm 1 (which adds 1
    to features of unit variance and leaves the means to their standardisation).
    """

    shrinkage: float = Field(10.0, gt=0, le=1e6)
    """How far both covariances are drawn to a multiple of the identity; with few images, higher is safer."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the source's images, moved into the target's features."""
        centred = domains.source - domains.source.mean(axis=0)
        whitened = centred @ _power(domains.source, self.shrinkage, -0.5)
        coloured = whitened @ _power(domains.target, self.shrinkage, 0.5)
        return Examples(coloured + domains.target.mean(axis=0), domains.labels, domains.weights)


def _power(features: np.ndarray, shrinkage: float, exponent: float) -> np.ndarray:
    """Return a power of the covariance of float64 [N, D], shrunk, symmetric [D, D]."""
    covariance = np.cov(features, rowvar=False, bias=True).reshape(features.shape[1], -1)
    # Where nothing varies there is nothing to whiten: the identity then.
    covariance += (shrinkage * np.trace(covariance) / len(covariance) or 1.0) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * values**exponent) @ vectors.T)
