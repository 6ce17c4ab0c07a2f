"""CORAL: correlation alignment: how far the covariances of the sets lie apart."""

from __future__ import annotations

import numpy as np

from headstart.distances.distance import Distance, Measured

# N and M images, D features


class Coral(Distance):
    """|S1 - S2|^2 / (4 D^2), S the covariances and |.| the Frobenius norm; the means play no part.

    Few images lift it: two samples of one population have covariances that differ. Compare sets of one size.
    Source: Sun & Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV Workshops 2016.
    """

    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the distance, at least 0, in the features' unit to the fourth power."""
        width = first.shape[1]
        one, two = ((part - part.mean(axis=0)) / np.sqrt(len(part) - 1) for part in (first, second))
        if width <= len(one) + len(two):
            squares = float(((one.T @ one - two.T @ two)**2).sum())
        else:
            # The same from products of images, which are fewer than the features.
            both, sign = np.concatenate([one, two]), np.repeat([1.0, -1.0], [len(one), len(two)])
            squares = max(0.0, float(sign @ (both @ both.T)**2 @ sign))
        return Measured(squares / (4 * width**2))
