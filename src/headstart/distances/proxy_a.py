"""Proxy A-distance: how well a linear classifier tells the two sets apart."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.distances.distance import Distance, Measured
from headstart.held_out import answers, reduced
from headstart.probabilities import wilson

# N and M images, D features, n images of each set that are used

VALUES = 2**22
"""Images of both sets times features at most: each fold holds a copy of them."""
PENALTIES = (1.0, 0.1, 0.01, 0.001)
"""From strong to weak, for features of unit scale; the one with the lowest held-out loss holds for all folds."""


class ProxyA(Distance):
    """2 (1 - 2 e), e the share of images that a cross-validated logistic regression puts into the wrong set.

    0 where the sets can't be told apart, 2 where they always can. Not cut at 0: for samples of one population it is
    as often a little below 0 as above, so that means over classes stay honest.
    Of both sets the same number of images is used, evenly in each fold, so that 1/2 is what guessing gets wrong.
    The interval is Wilson's of e: for a classifier that learns from as many images, not for the best there is.
    Source: Ben-David et al., "A theory of learning from different domains", Machine Learning 2010; the proxy: the
    same, "Analysis of representations for domain adaptation", NeurIPS 2006, section 5.
    """

    folds: int = Field(5, ge=2)
    most: int = Field(2000, ge=10)
    """Images of each set that are used at most, by chance; fewer of long features."""

    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the distance, 2 at most, with its interval."""
        width = first.shape[1]
        count = min(len(first), len(second), self.most, max(100, VALUES // (2 * width)))
        rows = np.concatenate([part[rng.permutation(len(part))[:count]] for part in (first, second)])
        labels = np.repeat([0, 1], count)
        points = reduced(rows)
        # Each fold holds out as many of one set as of the other: else a classifier that guesses would be wrong more
        # often than not, because what is held out of one set is missing where it learns.
        fold = np.tile(np.arange(count) % min(self.folds, count), 2)
        parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fold.max() + 1)]
        # The scale is the mean variance over the columns; with fewer columns it is larger by as much.
        found = answers(points, labels, parts, classes=2,
                        penalties=[l2 * points.shape[1] / width for l2 in PENALTIES])
        error = 1 - float(found.correct().mean())
        low, high = wilson(error, 2 * count)
        return Measured(2 * (1 - 2 * error), 2 * (1 - 2 * high), 2 * (1 - 2 * low))
