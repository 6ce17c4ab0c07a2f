"""Eata: adapt the normalisation to a target without the source, by images that can be trusted and say something new."""

from __future__ import annotations

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.regularisers.ewc import EWC
from headstart.regularisers.regulariser import ChosenRegulariser
from headstart.training.domain_training import NormTraining


class Eata(NormTraining):
    """Tent that learns from reliable and new images alone, and is held near its start.

    Source: Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022.
    """

    alignments: ChosenAlignments = Field("reliable_entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""
    regularisers: tuple[ChosenRegulariser, ...] = (EWC(),)
    """What holds the weights near those of the start, so that the source is not forgotten."""
