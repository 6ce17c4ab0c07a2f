"""H-score: how much of the features' variance lies between the classes, each direction measured by its own spread."""

from __future__ import annotations

import numpy as np

from headstart.scores.score import Groups, Score
from headstart.scores.spectrum import class_means, spectrum


class HScore(Score):
    """tr(pinv(cov(f)) cov(g)), g the class mean of each image; between 0 and min(C - 1, D).

    With few more images than features it is close to C - 1 whatever the features are: take `regularized_h_score`.
    Source: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019.
    """

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the trace."""
        found = spectrum(features, centred=True)
        counts, means = class_means(features, labels)
        # Along the eigenvectors both covariances have the factor 1 / (N - 1), which cancels.
        return float((counts @ (found.project(means) ** 2 / found.values**2)).sum())
