"""Eata: adapt the normalisation to a target without the source, by images that can be trusted and say something new."""

from __future__ import annotations

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.regularisers.l2_sp import L2SP
from headstart.regularisers.regulariser import ChosenRegulariser
from headstart.training.domain_training import NormTraining


class Eata(NormTraining):
    """Tent that learns from reliable and new images alone, and is held near its start.

    Source: Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022; the pull to the start is
    L2-SP, which weighs all parameters alike, where the paper weighs each by its Fisher information.
    """

    alignments: ChosenAlignments = Field("reliable_entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""
    regularisers: tuple[ChosenRegulariser, ...] = (L2SP(),)
    """What holds the weights near those of the start, so that the source is not forgotten."""
