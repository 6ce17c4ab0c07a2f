"""Last epoch: no choice; the model as training left it."""

from __future__ import annotations

from headstart.validators.validator import Evidence, Validator


class LastEpoch(Validator):
    """The epoch itself, so that the last one is the best."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the epoch."""
        return float(evidence.epoch)
