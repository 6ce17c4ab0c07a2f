"""Diversity: how evenly the model's answers on the target are spread over the classes."""

from __future__ import annotations

from headstart.probabilities import entropies, softened
from headstart.validators.validator import Evidence, Validator


class Diversity(Validator):
    """Entropy of the mean of the target's probabilities; 0 to log C.

    Best for a model that hesitates between all classes, and misleading where the target's classes are not evenly
    frequent.
    Source: the second half of information maximisation: Krause et al., "Discriminative Clustering by Regularized
    Information Maximization", NeurIPS 2010.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a logit is not finite."""
        return float(entropies(softened(evidence.target_logits, self.part_name).mean(axis=0)))
