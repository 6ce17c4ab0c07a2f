"""Entropy: how sure the model is of each image of the target."""

from __future__ import annotations

from headstart.probabilities import entropies, softened
from headstart.validators.validator import Evidence, Validator


class Entropy(Validator):
    """Minus the mean entropy of the target's probabilities; -log C to 0.

    Best for a model that answers the same sure class everywhere: `information_maximisation` takes that into account.
    Source: Morerio et al., "Minimal-Entropy Correlation Alignment for Unsupervised Deep Domain Adaptation", ICLR 2018.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a logit is not finite."""
        return -float(entropies(softened(evidence.target_logits, self.part_name)).mean()) + 0.0
