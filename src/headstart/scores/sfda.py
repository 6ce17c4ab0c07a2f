"""SFDA: self-challenging Fisher discriminant analysis: how well classes part once the features are adapted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from headstart.scores.score import Groups, MeanScore, blocks
from headstart.scores.spectrum import class_means, spectrum

# N images, D features, C classes, r directions in which the features vary


class SFDA(MeanScore):
    """Mean probability of the true class under a regularised discriminant, refitted on mixed features; in 0..1.

    A first discriminant tells how sure it is of each image; the image is mixed by that much with the mean of the other
    classes, so that what is hard grows harder, and a second one with the same shrinkage is fitted and asked.
    Source: Shao et al., "Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher
    Space", ECCV 2022. The mean is of probabilities, not of their logarithms, as there.
    """

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return the probability that the second discriminant gives each image's class."""
        found = spectrum(features, centred=True)
        if not len(found.values):
            return np.full(len(labels), 1 / (int(labels.max()) + 1))
        # The discriminant lives where the features vary, whatever their number; a rotation changes nothing.
        counts, means = class_means(features, labels)
        means, width = found.project(means), features.shape[1]
        first, shrinkage = discriminant(counts, means, np.diag(found.values**2), width)
        # The mean of all is 0, so that the others of a class sum to minus its own sum.
        others = -counts[:, None] * means / (len(labels) - counts)[:, None]

        def mixed(block: np.ndarray, ids: np.ndarray) -> np.ndarray:
            points = found.project(block)
            # As in the source, the probabilities are softened by a second softmax: hardly anything mixes otherwise.
            sure = softmax(first.probabilities(points), axis=1)[np.arange(len(ids)), ids][:, None]
            return np.asarray(sure * points + (1 - sure) * others[ids])

        # The mixed points are made twice, block by block: all at once they would be float64 [N, r].
        sums, total = np.zeros_like(means), np.zeros((means.shape[1], means.shape[1]))
        for block, ids in zip(blocks(features), blocks(labels), strict=True):
            points = mixed(block, ids)
            np.add.at(sums, ids, points)
            total += points.T @ points
        mean = sums.sum(axis=0) / len(labels)
        second, _ = discriminant(counts, sums / counts[:, None] - mean, total - len(labels) * np.outer(mean, mean),
                                 width, shrinkage)
        return np.concatenate([second.probabilities(mixed(block, ids) - mean)[np.arange(len(ids)), ids]
                               for block, ids in zip(blocks(features), blocks(labels), strict=True)])


@dataclass(frozen=True)
class Discriminant:
    """Gaussian classes with one covariance, along the axes that part them."""

    axes: np.ndarray
    """float64 [r, q]."""
    centres: np.ndarray
    """float64 [C, q]."""
    share: np.ndarray
    """float64 [C]: how frequent each class is."""

    def probabilities(self, points: np.ndarray) -> np.ndarray:
        """Return float64 [n, C]: how likely points [n, r] are of each class; rows sum to 1."""
        logits = points @ self.axes @ self.centres.T - (self.centres**2).sum(axis=1) / 2 + np.log(self.share)
        return np.asarray(softmax(logits, axis=1))


def discriminant(counts: np.ndarray, means: np.ndarray, scatter: np.ndarray, width: int,
                 shrinkage: float | None = None) -> tuple[Discriminant, float]:
    """Return (discriminant, shrinkage) from the moments of points whose mean is 0.

    counts: float64 [C]; means: float64 [C, r]; scatter: float64 [r, r], the sum of all squares; width: D.
    shrinkage: of the covariance within the classes towards its mean variance; None takes max(exp(-5 l), 1e-10), l its
    largest eigenvalue: the less the classes spread, the more.
    """
    share = counts / counts.sum()
    between = (means * share[:, None]).T @ means
    within = scatter / counts.sum() - between
    if shrinkage is None:
        shrinkage = max(float(np.exp(-5 * np.linalg.eigvalsh(within)[-1])), 1e-10)
    # Where each class is a single point, nothing spreads within: they part as far as numbers go, not infinitely.
    rounding = np.finfo(float).eps * len(within) * np.trace(scatter) / counts.sum()
    level = max(shrinkage * np.trace(within) / width, rounding)
    values, vectors = eigh(between, (1 - shrinkage) * within + level * np.eye(len(within)))
    axes = vectors[:, ::-1][:, :min(len(counts) - 1, int((values > 0).sum()))]
    return Discriminant(axes, means @ axes, share), shrinkage
