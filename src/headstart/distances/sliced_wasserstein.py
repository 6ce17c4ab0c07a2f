"""Sliced Wasserstein distance: how far mass must be moved, seen along random directions."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.distances.distance import Distance, Measured

# N and M images, D features, K directions


class SlicedWasserstein(Distance):
    """Root of the mean, over random directions, of the squared 2-Wasserstein distance of the sets along each.

    In the unit of the features; a shift of one set by v is about |v| / sqrt(D). Few images lift it.
    Source: Rabin et al., "Wasserstein Barycenter and its Application to Texture Mixing", SSVM 2011; Bonneel et al.,
    "Sliced and Radon Wasserstein Barycenters of Measures", JMIV 2015.
    """

    directions: int = Field(128, ge=1)

    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the distance, at least 0."""
        axes = rng.normal(size=(first.shape[1], self.directions))
        axes /= np.linalg.norm(axes, axis=0)
        one, two = (np.sort(part @ axes, axis=0) for part in (first, second))
        return Measured(float(np.sqrt(squared_transport(one, two).mean())))


def squared_transport(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float64 [K], the squared 2-Wasserstein distance of the columns of sorted [N, K] and [M, K]; exact.

    In one dimension the cheapest way moves quantile to quantile. Both quantile functions are steps, and between two
    neighbours of the joined steps, counted in units of 1 / (N M), both are constant.
    """
    count, other = len(first), len(second)
    steps = np.unique(np.concatenate([np.arange(count + 1) * other, np.arange(other + 1) * count]))
    starts, mass = steps[:-1], np.diff(steps) / (count * other)
    return np.asarray(mass @ (first[starts // other] - second[starts // count])**2)
