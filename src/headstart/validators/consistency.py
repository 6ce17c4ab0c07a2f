"""Consistency: whether the answers on the target follow its groups, lead back to what is right on the source, and are
spread as its labels."""

from __future__ import annotations

import numpy as np

from headstart.probabilities import entropies, harmonic
from headstart.validators.validator import Evidence, Validator

BOTH = ("neighbour_agreement", "reverse_validation")
ALIKE = 0.9
"""Share of the source's classes from which on answers count as spread like these: shares that are about alike do so."""


class Consistency(Validator):
    """Harmonic mean of neighbour agreement and reverse validation, both beyond chance, and the spread of the answers.
    Where one of the first two is 0 or below, it is the lower of them.

    Each alone is deceived by what another sees: tidy groups under the wrong names agree with their neighbours, a model
    that draws its lines through the target's groups may lead back as well as one that draws them between, and where
    groups have run into one another both like a model that gives up telling classes apart.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score, at most 1; raises DataError where a logit is not finite."""
        return harmonic([*map(evidence.verdict, BOTH), spread(evidence)])


def spread(evidence: Evidence) -> float:
    """Return how many classes the answers are spread over, by ALIKE of how many the source's labels are; above 0, at
    most 1.

    Both as effective numbers, exp(H) of the mean of the probabilities (`diversity`) and of the labels' shares.
    Raises DataError where a logit is not finite.
    Source: Hill, "Diversity and Evenness: A Unifying Notation and Its Consequences", Ecology 1973, number of order 1.
    """
    labels = evidence.source()[1]
    taught = entropies(np.bincount(labels) / len(labels))
    return min(1.0, float(np.exp(evidence.verdict("diversity") - taught)) / ALIKE)
