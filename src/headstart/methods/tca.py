"""Tca: keep the directions along which both domains vary, and their means do not differ."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace

# N source images, M target images, D features, d components


class Tca(FeatureSpace):
    """Transfer component analysis with a linear kernel: the d directions w of the largest w^T S w / w^T (m m^T + mu) w.

    S is the scatter of both domains together, m the difference of their means, which is the MMD of a linear kernel; the
    features have unit scale. In this form no kernel between images is needed, and a linear head can read what the
    images of later are like along the directions; mu holds the directions short, where the paper holds the coefficients
    of its images short. After Pan et al., "Domain Adaptation via Transfer Component Analysis", IEEE TNN 2011.
    """

    components: int = Field(30, ge=1, le=100_000)
    """Directions that are kept; no more than there are features."""
    mu: float = Field(0.1, gt=0, le=1e6)
    """How little a difference of the means may count, beside 1 for one of unit length."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the source's images, without what sets the domains apart."""
        both = np.concatenate([domains.source, domains.target])
        mean = both.mean(axis=0)
        gap = domains.source.mean(axis=0) - domains.target.mean(axis=0)
        scatter = (both - mean).T @ (both - mean) / len(both)
        scale = np.trace(scatter) or 1.0
        # (mu I + m m^T)^(-1/2) in closed form: along m one factor, across it another.
        length = float(np.linalg.norm(gap)) or 1.0
        along = np.outer(gap, gap) / length**2
        root = (np.eye(len(gap)) - along) / np.sqrt(self.mu) + along / np.sqrt(self.mu + length**2 / scale)
        values, vectors = np.linalg.eigh(root @ scatter @ root)
        directions = root @ vectors[:, np.argsort(-values)[:self.components]]
        # What the head sees of an image is its part in the span of the directions.
        basis = np.linalg.qr(directions)[0]
        source = (domains.source - mean) @ basis @ basis.T
        return Examples(source + mean, domains.labels, domains.weights)
