"""Consistency: whether the answers on the target follow its groups, and lead back to what is right on the source."""

from __future__ import annotations

from headstart.probabilities import harmonic
from headstart.validators.validator import Evidence, Validator

BOTH = ("neighbour_agreement", "reverse_validation")


class Consistency(Validator):
    """Harmonic mean of neighbour agreement and reverse validation, both beyond chance; the lower, where one is below.

    Each alone is deceived by what the other sees: tidy groups under the wrong names agree with their neighbours, and a
    model that draws its lines through the target's groups may lead back as well as one that draws them between.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score, at most 1; raises DataError where a logit is not finite."""
        return harmonic([evidence.verdict(name) for name in BOTH])
