"""Tent: adapt the normalisation to a target without the source, by being sure of each image."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.dataset import Splits
from headstart.domains.judging import keep_better
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.domain_plan import NormPlan
from headstart.training.train import train


class Tent(NormPlan, Method):
    """Trains BatchNorm's scales and shifts on the entropy of the target's answers, in the statistics of its batches.

    Source: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021; here over a target that
    is there as a whole, in one pass or more, with the statistics kept for images of later.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True

    alignments: ChosenAlignments = Field("entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True)
