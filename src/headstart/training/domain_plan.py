"""DomainPlan: the plan of a training that draws another domain near."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from headstart.alignments.alignment import ChosenAlignments
from headstart.training.plan import Plan
from headstart.validators.validator import NONE, ValidatorName


class DomainPlan(Plan):
    """A training on a source with labels, a target without, or the target alone."""

    source_free: ClassVar[bool] = False
    """Whether it learns from the target's images alone; the source's validation images judge it all the same."""
    trains_head: ClassVar[bool] = True

    alignments: ChosenAlignments = Field(validate_default=True)
    """What draws the domains together: one of the alignments, or a sum of several, such as cdan,mcc."""
    select: ValidatorName = "last_epoch"
    """The validator that chooses the epoch; no label of the target is looked at."""

    @field_validator("select")
    @classmethod
    def _chosen(cls, value: str) -> str:
        if value == NONE:
            raise ValueError("needs a validator; last_epoch takes the last one whatever it is like")
        return value
