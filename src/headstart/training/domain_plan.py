"""Plans of a training that draws another domain near."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from headstart.alignments.alignment import ChosenAlignments
from headstart.training.plan import Plan
from headstart.validators.validator import NONE, ValidatorName


class TargetPlan(Plan):
    """A training that looks at a target without labels."""

    select: ValidatorName = "last_epoch"
    """The validator that chooses the epoch; no label of the target is looked at."""

    @field_validator("select")
    @classmethod
    def _chosen(cls, value: str) -> str:
        if value == NONE:
            raise ValueError("needs a validator; last_epoch takes the last one whatever it is like")
        return value


class DomainPlan(TargetPlan):
    """A training on a source with labels, a target without, or the target alone."""

    source_free: ClassVar[bool] = False
    """Whether it learns from the target's images alone; the source's validation images judge it all the same."""
    trains_head: ClassVar[bool] = True

    alignments: ChosenAlignments = Field(validate_default=True)
    """What draws the domains together: one of the alignments, or a sum of several, such as cdan,mcc."""


class FourierPlan(TargetPlan):
    """A training on the source's images in the target's style."""

    beta: float = Field(0.01, ge=0, le=0.5)
    """How far from frequency 0 an image gets the target's amplitudes, as a share of its shorter side; 0 exchanges the
    mean colour alone."""


class TeacherPlan(TargetPlan):
    """A training on the source and, in the same steps, on what a mean of the own weights says of the target."""

    decay: float = Field(0.99, gt=0, lt=1)
    """Share of the teacher's weights that a step keeps; the rest is the student's."""
    threshold: float = Field(0.968, ge=0, le=1)
    """Probability from which the teacher's answer is sure; what it says of an image counts by the share of its pixels
    that are. Of boxes the score from which they are learned."""
    strength: float = Field(1.0, ge=0, le=100)
    """Weight of the target's loss beside the source's, once it is ramped up."""
