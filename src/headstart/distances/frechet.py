"""Fréchet distance: how far two Gaussians with the means and covariances of the sets lie apart."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.distances.distance import Distance, Measured

# N and M images, D features, n images of the smaller set

SHARES = (0.5, 0.65, 0.8, 1.0)
"""Of the images, for the line through 1 / n."""
STEADY = 1000


class Frechet(Distance):
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), m the means and S the covariances, freed from its bias.

    As it stands it is too large by far for few images: two samples of one population differ in what they vary along.
    The means: what their own noise adds, tr(S1) / N + tr(S2) / M, is taken away, exactly.
    The covariances, n >= 2 D: a line in 1 / n through subsamples of several sizes, read at 1 / n = 0 (as FID infinity).
    Fewer, n >= 4: the bias is no line there. Of sets of equal size, what the halves of one lie apart is taken from
    what halves of both lie apart; 0 on average for one population, too low rather than too high for others.
    Fewer than 4: the means alone.
    Not cut at 0: for samples of one population it is as often a little below 0 as above.
    Source: Dowson & Landau, "The Fréchet distance between multivariate normal distributions", 1982; Heusel et al.,
    NeurIPS 2017; the line: Chong & Forsyth, "Effectively unbiased FID and Inception Score", CVPR 2020.
    """

    most: int = Field(2000, ge=10)
    """Images of each set whose covariance is used at most, by chance; the means are of all."""
    splits: int = Field(3, ge=1)
    """Random halvings whose mean is taken; of more than 1,000 images, one is steady enough."""

    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the distance, in squared units of the features."""
        between = float(((first.mean(axis=0) - second.mean(axis=0))**2).sum())
        noise = sum(float(part.var(axis=0, ddof=1).sum()) / len(part) for part in (first, second))
        few = min(len(first), len(second), self.most)
        sets = [_some(part, min(self.most, len(part)), rng) for part in (first, second)]
        if few >= 2 * first.shape[1]:
            return Measured(between - noise + _at_infinity(sets, rng))
        if few < 4:
            return Measured(between - noise)
        splits = self.splits if few <= STEADY else 1
        found = [_beyond_halves([_some(part, few, rng) for part in sets]) for _ in range(splits)]
        return Measured(between - noise + float(np.mean(found)))


def covariances_apart(first: np.ndarray, second: np.ndarray) -> float:
    """Return tr(S1 + S2 - 2 (S1 S2)^(1/2)) of the covariances of float64 [N, D] and [M, D], as they are.

    With S1 = A'A and S2 = B'B the eigenvalues of S1 S2 are the squared singular values of A B': no D x D root.
    """
    one, two = _factor(first), _factor(second)
    return float((one**2).sum() + (two**2).sum() - 2 * np.linalg.svd(one @ two.T, compute_uv=False).sum())


def _factor(points: np.ndarray) -> np.ndarray:
    """Return float64 [min(n, D), D], A with A'A the covariance."""
    centred = (points - points.mean(axis=0)) / np.sqrt(len(points) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r") if len(points) > points.shape[1] else centred)


def _some(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(points[rng.permutation(len(points))[:count]])


def _at_infinity(sets: list[np.ndarray], rng: np.random.Generator) -> float:
    """Return the intercept of the line through (1 / share, distance of the covariances)."""
    found = [covariances_apart(*(_some(part, max(2, round(share * len(part))), rng) for part in sets))
             for share in SHARES]
    return float(np.polyfit(1 / np.array(SHARES), found, 1)[1])


def _beyond_halves(sets: list[np.ndarray]) -> float:
    """Return how much further halves of two sets of equal size lie apart than the halves of one do."""
    half = len(sets[0]) // 2
    (a, b), (c, d) = ((part[:half], part[half:2 * half]) for part in sets)
    across = np.mean([covariances_apart(one, two) for one, two in ((a, c), (a, d), (b, c), (b, d))])
    return float(across - (covariances_apart(a, b) + covariances_apart(c, d)) / 2)
