"""DomainTraining: methods that adapt to a target by a training of the learner; they differ in their settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from headstart.data.augment import Preset
from headstart.data.dataset import Splits
from headstart.domains.guarding import PLACES
from headstart.domains.target_method import TargetMethod
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.batch_norm import restated
from headstart.training.domain_plan import DomainPlan, TargetPlan
from headstart.training.plan import WHOLE
from headstart.training.scope import Scope
from headstart.training.train import train


class TargetTraining(TargetPlan, TargetMethod):
    """Trains by its plan, and keeps the chosen epoch."""

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch. Raises as `training.train.train`."""
        return train(model, splits, self, context)


class DomainTraining(DomainPlan, TargetTraining):
    """Trains a classifier with alignments."""


class WholeTraining(TargetTraining):
    """Trains a segmenter or a detector."""

    tasks: ClassVar[tuple[str, ...]] = ("semantic", "detection")
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "semantic": {**WHOLE["semantic"], "guard": PLACES},
        # A fifth of the rates of `finetune`, from which they start: at its own, a detector loses what it found there.
        "detection": {**WHOLE["detection"], "epochs": 8, "lr_head": 2e-4, "lr_backbone": 1e-4, "guard": PLACES}}


class NormTraining(DomainTraining):
    """Trains the normalisation alone, on the target alone: a pass over it as it is.

    It begins with the target's statistics, and ends with those that its last scales and shifts give: a pass is too
    short for a running mean to get from the one to the other. A head that was solved under other statistics is not
    touched: `adabn` in front solves it anew.
    """

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

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, in the target's statistics. Raises as `training.train.train`."""
        assert splits.target is not None, "opening refuses a job without"
        began = restated(model, splits.target, context)
        return restated(train(began, splits, self, context), splits.target, context)
