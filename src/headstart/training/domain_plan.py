"""DomainPlan: the plan of a training that draws another domain near."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.augment import Preset
from headstart.training.plan import Plan
from headstart.training.scope import Scope
from headstart.validators.validator import NONE, GuardName, ValidatorName


class DomainPlan(Plan):
    """A training on a source with labels, a target without, or the target alone."""

    source_free: ClassVar[bool] = False
    """Whether it learns from the target's images alone; the source's validation images judge it all the same."""
    trains_head: ClassVar[bool] = True

    alignments: ChosenAlignments = Field(validate_default=True)
    """What draws the domains together: one of the alignments, or a sum of several, such as cdan,mcc."""
    select: ValidatorName = "last_epoch"
    """The validator that chooses the epoch; no label of the target is looked at."""
    guard: GuardName = "neighbour_agreement"
    """The validator that must not hold the model for worse than it was before, else that is kept; `none` takes what
    comes."""

    @field_validator("select")
    @classmethod
    def _chosen(cls, value: str) -> str:
        if value == NONE:
            raise ValueError("needs a validator; last_epoch takes the last one whatever it is like")
        return value


class NormPlan(DomainPlan):
    """The plan of a training that moves the normalisation alone, on the target alone: a pass over it as it is."""

    source_free: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False

    scope: Scope = "norm-only"
    """Scales and shifts of the normalisation alone: too little to forget much."""
    batch_norm: Literal["train"] = "train"
    """The statistics are those of the target's batches."""
    epochs: int = Field(1, ge=1, le=10_000)
    """Passes over the target's images."""
    batch_size: int = Field(64, ge=2, le=65_536)
    """Images in one step, whose statistics normalise each other."""
    lr_backbone: float = Field(1e-3, gt=0, le=10)
    """Highest learning rate of the scales and shifts."""
    augment: Preset = "none"
    """The images as they are."""
