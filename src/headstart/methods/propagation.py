"""Propagation: let the target's images hand their answers to those that look like them, and fit the head to that."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace
from headstart.label_propagation import NEIGHBOURS, SPREAD, handed_on


class Propagation(FeatureSpace):
    """Label propagation on the graph of the target's nearest neighbours, from what the model says of each image.

    As `label_propagation.handed_on`. The head is fitted to the target's images under their new labels, each weighing as
    sure as it is. Source: Zhou et al., "Learning with Local and Global Consistency", NeurIPS 2003.
    """

    from_answers: ClassVar[bool] = True
    like_shares: ClassVar[bool] = False

    neighbours: int = Field(NEIGHBOURS, ge=1, le=1000)
    """Images that each one is joined to, the likest ones."""
    spread: float = Field(SPREAD, gt=0, lt=1)
    """How much each image listens to its neighbours instead of to the model (a)."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the target's images under the labels that were handed on."""
        found = handed_on(domains.target, domains.probabilities, neighbours=self.neighbours, spread=self.spread)
        return Examples(domains.target, found.argmax(axis=1), found.max(axis=1))
