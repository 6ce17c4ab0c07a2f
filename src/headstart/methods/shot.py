"""Shot: adapt to a target without the source: keep the classifier, and move the features to where it is sure."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.training.domain_training import DomainTraining


class Shot(DomainTraining):
    """Trains the backbone on the target alone: information maximisation, and the labels of the nearest class centres.

    The head stays. Without self_labels it is SHOT-IM. No image of the source teaches; some only judge.
    Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020.
    """

    from_answers: ClassVar[bool] = True
    source_free: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False

    alignments: ChosenAlignments = Field(  # type: ignore[assignment]
        "information_maximisation,self_labels", validate_default=True)
    """What is asked of the target's answers; information_maximisation alone is SHOT-IM."""
