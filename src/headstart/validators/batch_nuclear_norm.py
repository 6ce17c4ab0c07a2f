"""Batch nuclear norm: are the target's answers sure and spread over the classes, in one number of linear algebra?"""

from __future__ import annotations

from headstart.probabilities import nuclear_norm, softened
from headstart.validators.validator import Evidence, Validator


class BatchNuclearNorm(Validator):
    """Sum of the singular values of the target's [M, C] probabilities, by its largest, sqrt(min(M, C) M); in 0..1.

    Sure answers lift the Frobenius norm, which bounds it from below, and answers of many kinds lift the rank.
    Source: Cui et al., "Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under Label
    Insufficient Situations", CVPR 2020.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a logit is not finite."""
        return nuclear_norm(softened(evidence.target_logits, self.part_name))
