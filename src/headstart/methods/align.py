"""Align: train on a source with labels and draw an unlabelled target near, by one of the alignments."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.training.domain_training import DomainTraining


class Align(DomainTraining):
    """Fine-tunes on the source's labels and, in the same steps, on a loss that makes both domains look alike.

    The name of an alignment is a method's, too: `--method dann` is `align` with `alignments: dann`.
    """

    from_answers: ClassVar[bool] = True

    alignments: ChosenAlignments = Field("mcc", validate_default=True)  # type: ignore[assignment]
    """What draws the domains together: one of the alignments, or a sum of several, such as cdan,mcc."""
