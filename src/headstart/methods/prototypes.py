"""Prototypes: begin with the model's classes on the target, and let each take the images that are nearest to it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace
from headstart.neighbours import centre, unit

# M target images, D features, C classes


class Prototypes(FeatureSpace):
    """Class centres of the target: means weighted by the model's probabilities, then by their own, a few rounds.

    Features are centred and of unit length, the centres too; p = softmax(sharpness * cosine). It is what SHOT does for
    its pseudo-labels, with the soft assignment kept. The head is fitted to the target's images under their new labels,
    each weighing as sure as it is. Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020,
    equations 4-5; Dhillon & Modha, "Concept Decompositions", Machine Learning 2001 (spherical k-means).
    """

    from_answers: ClassVar[bool] = True

    rounds: int = Field(5, ge=1, le=1000)
    """How often the centres are taken anew."""
    sharpness: float = Field(20.0, gt=0, le=1e6)
    """How sure a nearer centre makes: an image between two of them belongs to both."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the target's images under the class whose centre is nearest."""
        images = unit(domains.target, centre(domains.target))
        shares = domains.probabilities
        # A class that the model gives no image may not be there at all: it has no centre that could take some.
        absent = np.bincount(shares.argmax(axis=1), minlength=domains.classes) == 0
        for _ in range(self.rounds):
            logits = self.sharpness * images @ unit(shares.T @ images).T
            logits[:, absent] = -np.inf
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
        return Examples(domains.target, shares.argmax(axis=1), shares.max(axis=1))
