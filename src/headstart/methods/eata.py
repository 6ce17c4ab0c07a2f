"""Eata: adapt the normalisation to a target without the source, by images that can be trusted and say something new."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.alignments.alignment import ChosenAlignments
from headstart.data.dataset import Splits
from headstart.domains.judging import keep_better
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.regularisers.l2_sp import L2SP
from headstart.regularisers.regulariser import ChosenRegulariser
from headstart.training.domain_plan import NormPlan
from headstart.training.train import train


class Eata(NormPlan, Method):
    """Tent that learns from reliable and new images alone, and is held near its start.

    Source: Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022; the pull to the start is
    L2-SP, which weighs all parameters alike, where the paper weighs each by its Fisher information.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True

    alignments: ChosenAlignments = Field("reliable_entropy", validate_default=True)  # type: ignore[assignment]
    """What is asked of the target's answers."""
    regularisers: tuple[ChosenRegulariser, ...] = (L2SP(),)
    """What holds the weights near those of the start, so that the source is not forgotten."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model of the chosen epoch, or `model` where the guard holds that for better.

        Raises as `training.train.train`.
        """
        tuned = train(model, splits, self, context)
        return keep_better(self.part_name, model, tuned, splits, context, guard=self.guard, trained=True)
