"""NLEEP: LEEP with the clusters of the features in place of the source classes, so that any backbone has it."""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import Field

from headstart.scores.prediction import log_predictions
from headstart.scores.score import Groups, MeanScore, blocks, evenly
from headstart.scores.spectrum import Spectrum, spectrum

# N images, C classes, K Gaussians

COST = 2e9
"""Numbers that a step with full covariances may touch: images times Gaussians times squared components."""


class NLEEP(MeanScore):
    """LEEP on the posteriors of a Gaussian mixture over the principal components of the features; at most 0.

    The components that hold `energy` of the variance, and `per_class` Gaussians for each class, but at most one for
    two images, since a Gaussian for each image would tell its label. Covariances are full where a Gaussian has more
    images than components and the step is short enough, else diagonal. Scaled by the largest deviation: the floor of
    the variances, 1e-6, then means the same for all features.
    Source: Li et al., "Ranking Neural Checkpoints", CVPR 2021.
    """

    energy: float = Field(0.8, gt=0, le=1)
    per_class: int = Field(5, ge=1)
    most: int = Field(10_000, ge=100)
    """Images that fit the mixture, evenly over the classes; and images times Gaussians / 1000: memory stays bounded."""
    seed: int = 0

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return the log expected prediction of each image."""
        return log_predictions(self.posteriors(features, labels), labels)

    def posteriors(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return float64 [N, K], rows that sum to 1: how likely each image is of each Gaussian."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        found = spectrum(features, centred=True)
        if not len(found.values):
            return np.ones((len(features), 1))
        share = np.cumsum(found.values**2) / np.sum(found.values**2)
        kept = min(int(np.searchsorted(share, self.energy)) + 1, len(share))
        scale = found.values[0] / np.sqrt(len(features))
        small = Spectrum(found.mean, found.values[:kept], found.directions[:, :kept] / scale)
        rows = evenly(labels, self.most)
        wanted = self.per_class * (int(labels.max()) + 1)
        components = max(1, min(wanted, len(rows) // 2, self.most * 1000 // len(features)))
        full = components * kept < len(rows) and len(rows) * components * kept**2 <= COST
        mixture = GaussianMixture(components, covariance_type="full" if full else "diag", random_state=self.seed)
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that is not at its optimum clusters too
            mixture.fit(np.concatenate([small.project(features[some]) for some in blocks(rows)]))
            return np.concatenate([mixture.predict_proba(small.project(block)) for block in blocks(features)])
