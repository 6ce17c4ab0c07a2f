"""Tent: adapt the normalisation to a target without the source, by being sure of each image."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.augment import Preset
from headstart.data.dataset import Splits
from headstart.domains.judging import keep_better
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.domain_plan import DomainPlan
from headstart.training.scope import Scope
from headstart.training.train import train


class Tent(DomainPlan, Method):
    """Trains BatchNorm's scales and shifts on the entropy of the target's answers, in the statistics of its batches.

    Source: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021; here over a target that
    is there as a whole, in one pass or more, with the statistics kept for images of later.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True
    source_free: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False

    alignments: ChosenAlignments = Field("entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""
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

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True)
