"""Shot: adapt to a target without the source: keep the classifier, and move the features to where it is sure."""

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


class Shot(DomainPlan, Method):
    """Trains the backbone on the target alone: information maximisation, and the labels of the nearest class centres.

    The head stays. Without self_labels it is SHOT-IM. No image of the source teaches; some only judge.
    Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True
    source_free: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False

    alignments: ChosenAlignments = Field(  # type: ignore[assignment]
        "information_maximisation,self_labels", validate_default=True)
    """What is asked of the target's answers; information_maximisation alone is SHOT-IM."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True,
                           from_answers=True)
