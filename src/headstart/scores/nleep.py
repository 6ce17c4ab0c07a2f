"""NLEEP: LEEP with the clusters of the features in place of the source classes, so that any backbone has it."""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import Field

from headstart.scores.prediction import log_predictions
from headstart.scores.score import MeanScore
from headstart.scores.spectrum import Spectrum, blocks, spectrum


class NLEEP(MeanScore):
    """LEEP on the posteriors of a Gaussian mixture over the principal components of the features; at most 0.

    Source: Li et al., "Ranking Neural Checkpoints", CVPR 2021: the components that hold `energy` of the variance, and
    `per_class` Gaussians for each class. More Gaussians than half the images would each hold one of them: there are
    never more. Beyond `most` rows the mixture is fitted on that many, evenly spread; beyond `most` Gaussians it is cut.
    """

    energy: float = Field(0.8, gt=0, le=1)
    per_class: int = Field(5, ge=1)
    most: int = Field(20_000, ge=100)
    """Images that fit the mixture, and images times Gaussians / 1000, at most: memory stays bounded."""
    seed: int = 0

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Return the log expected prediction of each image."""
        return log_predictions(self.posteriors(features, int(labels.max()) + 1), labels)

    def posteriors(self, features: np.ndarray, classes: int) -> np.ndarray:
        """Return float64 [N, K], rows that sum to 1: how likely each image is of each Gaussian."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        found = spectrum(features, centred=True)
        if not len(found.values):
            return np.ones((len(features), 1))
        share = np.cumsum(found.values**2) / np.sum(found.values**2)
        kept = int(np.searchsorted(share, self.energy)) + 1
        small = Spectrum(found.mean, found.values[:kept], found.directions[:, :kept])
        points = np.concatenate([small.project(block) for block in blocks(features)])
        chosen = points[:: max(1, -(-len(points) // self.most))]
        components = max(1, min(self.per_class * classes, len(chosen) // 2, self.most * 1000 // len(points)))
        mixture = GaussianMixture(components, covariance_type="diag" if kept > 64 else "full", random_state=self.seed)
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that is not at its optimum clusters too
            mixture.fit(chosen)
            return np.asarray(mixture.predict_proba(points), np.float64)
