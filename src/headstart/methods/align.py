"""Align: train on a source with labels and draw an unlabelled target near, by one of the alignments."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.dataset import Splits
from headstart.domains.judging import keep_better
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.domain_plan import DomainPlan
from headstart.training.train import train


class Align(DomainPlan, Method):
    """Fine-tunes on the source's labels and, in the same steps, on a loss that makes both domains look alike.

    The name of an alignment is a method's, too: `--method dann` is `align` with `alignments: dann`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True

    alignments: ChosenAlignments = Field("mcc", validate_default=True)  # type: ignore[assignment]
    """What draws the domains together: one of the alignments, or a sum of several, such as cdan,mcc."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True,
                           from_answers=True)
