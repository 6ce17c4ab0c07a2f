"""Source risk: how well the model does where labels are known."""

from __future__ import annotations

import numpy as np

from headstart.held_out import log_losses
from headstart.probabilities import softened
from headstart.validators.validator import Evidence, Validator


class SourceRisk(Validator):
    """Minus the mean cross-entropy on the source's validation images; at most 0.

    It does not see the target at all: what is best on the source is often not best there.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a logit is not finite."""
        softened(evidence.source_logits, self.part_name)  # refuses what is no number
        return -float(log_losses(np.asarray(evidence.source_logits, np.float64), evidence.source_labels).mean())
