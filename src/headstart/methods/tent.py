"""Tent: adapt the normalisation to a target without the source, by being sure of each image."""

from __future__ import annotations

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.training.domain_training import NormTraining


class Tent(NormTraining):
    """Trains BatchNorm's scales and shifts on the entropy of the target's answers, in the statistics of its batches.

    Source: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021; here over a target that
    is there as a whole, in one pass or more, with the statistics kept for images of later.
    """

    alignments: ChosenAlignments = Field("entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""
