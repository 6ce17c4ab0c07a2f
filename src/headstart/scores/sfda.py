"""SFDA: self-challenging Fisher discriminant analysis: how well classes part once the features are adapted to them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from headstart.scores.score import MeanScore, blocks
from headstart.scores.spectrum import class_means, scatter, spectrum

# N images, D features, C classes


class SFDA(MeanScore):
    """Mean probability of the true class under a regularised discriminant, refitted on mixed features; in 0..1.

    A first discriminant tells how sure it is of each image; the image is mixed by that much with the mean of the other
    classes, so that what is hard grows harder, and a second one with the same shrinkage is fitted and asked.
    Source: Shao et al., "Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher
    Space", ECCV 2022. The mean is of probabilities, not of their logarithms, as there.
    """

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Return the probability that the second discriminant gives each image's class."""
        found = spectrum(features, centred=True)
        classes = int(labels.max()) + 1
        if not len(found.values):
            return np.full(len(labels), 1 / classes)
        # The discriminant lives where the features vary, whatever their number; a rotation changes nothing.
        points = np.concatenate([found.project(block) for block in blocks(features)])
        shrinkage, first = discriminate(points, labels, features.shape[1])
        sure = softmax(first, axis=1)[np.arange(len(labels)), labels][:, None]
        counts, means = class_means(points, labels)
        others = (points.mean(axis=0) * len(points) - counts[:, None] * means) / (len(points) - counts[:, None])
        mixed = sure * points + (1 - sure) * others[labels]
        return discriminate(mixed, labels, features.shape[1], shrinkage)[1][np.arange(len(labels)), labels]


def discriminate(points: np.ndarray, labels: np.ndarray, width: int,
                 shrinkage: float | None = None) -> tuple[float, np.ndarray]:
    """Return (shrinkage, float64 [N, C] probabilities) of a regularised Fisher discriminant.

    points: float64 [N, r], the features along the directions in which they vary; width: D, all their directions.
    shrinkage: of the covariance within the classes towards its mean variance; None takes max(exp(-5 l), 1e-10), l its
    largest eigenvalue: the less the classes spread, the more.
    """
    counts, means = class_means(points, labels)
    mean, share = points.mean(axis=0), counts / len(points)
    shifted = means - mean
    between = (shifted * share[:, None]).T @ shifted
    within = scatter(points, mean) / len(points) - between
    if shrinkage is None:
        shrinkage = max(float(np.exp(-5 * np.linalg.eigvalsh(within)[-1])), 1e-10)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / width * np.eye(len(within))
    values, vectors = eigh(between, within)
    axes = vectors[:, ::-1][:, :min(len(counts) - 1, int((values > 0).sum()))]
    centres = means @ axes
    logits = points @ axes @ centres.T - (centres**2).sum(axis=1) / 2 + np.log(share)
    return shrinkage, softmax(logits, axis=1)
