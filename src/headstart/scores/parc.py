"""PARC: pairwise annotation representation comparison: are images whose labels differ far apart in the features?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from headstart.scores.score import Groups, Score, evenly
from headstart.scores.spectrum import principal

# N images, C classes


class PARC(Score):
    """100 times Spearman's correlation between the images' distances in features and in labels; in -100..100.

    Distance is 1 - Pearson's correlation, of standardised features and of one-hot labels.
    Source: Bolya et al., "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021.
    """

    does_labels: ClassVar[bool] = True

    components: int | None = Field(None, ge=2)
    """Principal components that are taken where there are more features, 32 in the paper's own use; None takes all."""
    most: int = Field(2000, ge=10)
    """Images that are compared, evenly spread over the classes' order: all pairs cost the square of it."""

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the correlation; 0 where all distances are equal on one side."""
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0].astype(np.int64)  # a row of one number has no correlation; its one-hot form has
        rows = evenly(labels, self.most)
        features, labels = features[rows], labels[rows]
        if self.components and features.shape[1] > self.components:
            features = principal(features, self.components).project(features)
        points = features.astype(np.float64)
        mean, spread = points.mean(axis=0), points.std(axis=0)
        # The mean of equal numbers is off by rounding: standardised, that would weigh as much as a real feature.
        varied = spread > 1e-12 * np.abs(mean)
        points = (points - mean)[:, varied] / spread[varied]
        targets = np.eye(int(labels.max()) + 1)[labels] if labels.ndim == 1 else labels.astype(np.float64)
        upper = np.triu_indices(len(points), k=1)
        far, differ = (1 - _correlations(rows)[upper] for rows in (points, targets))
        # Ranked after rounding: equal distances must tie, whatever the order of the sums was.
        return 100 * _pearson(rankdata(far.round(12)), rankdata(differ.round(12)))


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Return float64 [N, N]: Pearson's correlation of each two rows; 0 where one does not vary."""
    if not rows.shape[1]:
        return np.zeros((len(rows), len(rows)))
    shifted = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(shifted, axis=1, keepdims=True)
    unit = np.divide(shifted, lengths, out=np.zeros_like(shifted), where=lengths > 0)
    return np.asarray(unit @ unit.T)


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / length if length > 0 else 0.0
