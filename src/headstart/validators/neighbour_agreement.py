"""Neighbour agreement: whether the model gives those target images one label that look alike."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.neighbours import QUERIES, centre, nearest
from headstart.probabilities import beyond_chance, softened
from headstart.validators.validator import Evidence, Validator

# M target images, D features


class NeighbourAgreement(Validator):
    """Mean share of the nearest target images, by the cosine of centred features, that get the image's own label.

    Unlike measures of entropy it does not ask how sure the model is, only where it draws its lines: through the gaps
    between groups of alike images, or through the groups. A label that all images get is no line at all; the agreement
    that the label's shares alone would give is therefore taken off: (a - e) / (1 - e), as Cohen's kappa does.
    """

    neighbours: int = Field(10, ge=1, le=1000)
    """Images that each one is compared with."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the agreement beyond chance, at most 1; raises DataError where a logit is not finite."""
        features = evidence.target_features
        count = min(self.neighbours, len(features) - 1)
        if count < 1:
            return 0.0
        labels = softened(evidence.target_logits, self.part_name).argmax(axis=1)
        mean, own = centre(features), np.arange(len(labels))
        agreed = 0
        for start in range(0, len(labels), QUERIES):
            rows = own[start:start + QUERIES]
            _, places = nearest(features, features[rows], mean, count, apart=(own, rows))
            agreed += int((labels[places] == labels[rows, None]).sum())
        observed = agreed / (len(labels) * count)
        by_chance = float(((np.bincount(labels) / len(labels)) ** 2).sum())
        return beyond_chance(observed, by_chance)
