"""Subspace: turn the source's principal directions onto the target's, and fit the head to what is seen along them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace

# N source images, M target images, D features, d directions


class Subspace(FeatureSpace):
    """Subspace alignment: source x P_s (P_s^T P_t) against target x P_t, both centred, P the principal directions.

    The aligned source is set into the target's features by P_t^T, in which a linear head sees the same.
    Source: Fernando et al., "Unsupervised Visual Domain Adaptation Using Subspace Alignment", ICCV 2013.
    """

    directions: int = Field(20, ge=1, le=100_000)
    """Principal directions of each domain that are kept; no more than there are features, fewer than images."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the source's images, moved into the target's subspace."""
        # Images about their mean span one direction fewer than there are images.
        count = min(self.directions, *(min(len(part) - 1, part.shape[1]) for part in (domains.source, domains.target)))
        source, target = (_principal(part, count) for part in (domains.source, domains.target))
        centred = domains.source - domains.source.mean(axis=0)
        aligned = centred @ source @ (source.T @ target)
        return Examples(aligned @ target.T + domains.target.mean(axis=0), domains.labels, domains.weights)


def _principal(features: np.ndarray, count: int) -> np.ndarray:
    """Return the first principal directions of float64 [N, D], as columns [D, count]."""
    return np.asarray(np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][:count].T)
