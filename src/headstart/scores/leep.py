"""LEEP: log expected empirical prediction: how well the source classes' probabilities tell the labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from headstart.scores.prediction import log_predictions
from headstart.scores.score import Groups, MeanScore


class LEEP(MeanScore):
    """mean over images of log sum over z of P(y | z) theta_z, P(y, z) the mean of theta_z over images of y; at most 0.

    Source: Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
    """

    needs_source: ClassVar[bool] = True

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return the log expected prediction of each image."""
        assert source is not None, "checked"
        return log_predictions(source, labels)
