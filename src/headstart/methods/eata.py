"""Eata: adapt the normalisation to a target without the source, by images that can be trusted and say something new."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.augment import Preset
from headstart.data.dataset import Splits
from headstart.domains.judging import keep_better
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.regularisers.l2_sp import L2SP
from headstart.regularisers.regulariser import ChosenRegulariser
from headstart.training.domain_plan import DomainPlan
from headstart.training.scope import Scope
from headstart.training.train import train


class Eata(DomainPlan, Method):
    """Tent that learns from reliable and new images alone, and is held near its start.

    Source: Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022; the pull to the start is
    L2-SP, which weighs all parameters alike, where the paper weighs each by its Fisher information.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True
    source_free: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False

    alignments: ChosenAlignments = Field("reliable_entropy", validate_default=True)  # type: ignore[assignment]
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
    regularisers: tuple[ChosenRegulariser, ...] = (L2SP(),)
    """What holds the weights near those of the start, so that the source is not forgotten."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True)
