"""LogME: the log evidence of a Bayesian linear regression from features to labels, or to any real targets."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from headstart.scores.score import Groups, Score, blocks
from headstart.scores.spectrum import Spectrum, spectrum

# N images, D features, K targets, r directions

ITERATIONS = 11
TOLERANCE = 1e-3


class LogME(Score):
    """Log evidence an image, maximised over the precisions of weights and noise, mean over the classes.

    Multi-label data have a target for each label anyway. For regression, and for dense features with a target at each
    place (boxes, masks), see `log_evidence`.
    Source: You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021.
    """

    does_labels: ClassVar[bool] = True

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the mean over the classes."""
        return float(np.mean(log_evidence(features, labels)))


def log_evidence(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return float64 [K]: the log evidence of each target, divided by N.

    features: float [N, D]; rows may be images, or the places of feature maps.
    targets: float [N, K], any real numbers (offsets of boxes, 0/1 of masks); or int [N]: a 0/1 target for each class.
    A target that is 0 everywhere has no noise, and infinite evidence.
    """
    found = spectrum(features, centred=False)
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        classes = int(targets.max()) + 1
        norms = np.bincount(targets, minlength=classes).astype(np.float64)
        projected = np.zeros((len(found.values), classes))
        for block, ids in zip(blocks(features), blocks(targets), strict=True):
            np.add.at(projected.T, ids, found.project(block))
    else:
        targets = targets.reshape(len(targets), -1)
        norms, projected = np.zeros(targets.shape[1]), np.zeros((len(found.values), targets.shape[1]))
        for block, part in zip(blocks(features), blocks(targets), strict=True):
            norms += (part.astype(np.float64) ** 2).sum(axis=0)
            projected += found.project(block).T @ part.astype(np.float64)
    # x = U't: the directions are scaled by the singular values once more to be those of U.
    return np.array([_evidence(found, features.shape, x, norm)
                     for x, norm in zip((projected / found.values[:, None]).T, norms, strict=True)])


def _evidence(found: Spectrum, shape: tuple[int, ...], x: np.ndarray, norm: float) -> float:
    """Return the evidence of one target. x: float64 [r], the target along U; norm: its squared length."""
    count, width = shape
    s = found.values**2
    rest = max(0.0, norm - float(x @ x))
    if norm <= 0:
        return np.inf
    weights, noise = 1.0, 1.0  # alpha and beta: the precisions
    tiny = np.finfo(float).tiny
    for _ in range(ITERATIONS):
        ratio = weights / noise
        gamma = float((s / (s + ratio)).sum())
        # N - gamma, without the cancellation that leaves nothing of it where N <= D.
        free = count - len(s) + float((ratio / (s + ratio)).sum())
        m2 = float((s * (x / (ratio + s)) ** 2).sum())
        r2 = float(((x * (ratio / (ratio + s))) ** 2).sum()) + rest
        if m2 <= tiny or gamma <= tiny:
            # The features say nothing of the target: the best weights are 0, and what is left is the noise.
            return float(np.log(count / norm) - 1 - np.log(2 * np.pi)) / 2
        if r2 <= tiny:
            break  # all is explained: the noise's precision has no upper end, and the last one stays
        weights, noise = gamma / m2, free / r2
        if abs(weights / noise - ratio) <= TOLERANCE * ratio:
            break
    ratio = weights / noise
    m2 = float((s * (x / (ratio + s)) ** 2).sum())
    r2 = float(((x * (ratio / (ratio + s))) ** 2).sum()) + rest
    # Directions in which the features do not vary have s = 0, and their part in the sum is ln(alpha).
    logs = np.log(weights + noise * s).sum() + (width - len(s)) * np.log(weights)
    total = width / 2 * np.log(weights) + count / 2 * np.log(noise) - logs / 2 - noise / 2 * r2 - weights / 2 * m2
    return float(total - count / 2 * np.log(2 * np.pi)) / count
