"""Regularised H-score: the H-score with a covariance that stays sound where images are fewer than features."""

from __future__ import annotations

import numpy as np

from headstart.scores.score import Groups, Score, blocks
from headstart.scores.spectrum import class_means, spectrum


class RegularizedHScore(Score):
    """tr(pinv(S_a) (1 - a) cov(g)), S_a = (1 - a) cov(f) + a tr(cov(f)) / D, a as Ledoit and Wolf estimate it.

    Between 0 and min(C - 1, D) N / (N - 1): cov(g) is over N - 1, cov(f) over N.
    Source: Ibrahim et al., "Newer is not always better: Rethinking transferability metrics", ECML PKDD 2022; the
    shrinkage: Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.
    """

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the trace."""
        count, width = features.shape
        found = spectrum(features, centred=True)
        if not len(found.values):
            return 0.0
        variances = found.values**2 / count
        shrinkage = ledoit_wolf(features, found.mean, variances)
        shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / width
        counts, means = class_means(features, labels)
        # cov(g) has ddof 1, as the H-score's; Ledoit and Wolf's covariance has none.
        between = counts @ found.project(means) ** 2 / max(1, count - 1)
        return float(((1 - shrinkage) * between / shrunk).sum())


def ledoit_wolf(features: np.ndarray, mean: np.ndarray, variances: np.ndarray) -> float:
    """Return the shrinkage in 0..1. variances: float64 [r], the eigenvalues of the covariance of [N, D] features."""
    count, width = features.shape
    fourth = sum(float((((block.astype(np.float64) - mean) ** 2).sum(axis=1) ** 2).sum()) for block in blocks(features))
    squared, trace = float((variances**2).sum()), float(variances.sum())
    noise = (fourth / count - squared) / (width * count)
    distance = (squared - trace**2 / width) / width
    noise = min(noise, distance)
    return 0.0 if noise <= 0 else noise / distance
