"""TargetMethod: methods that adapt to a target, each guarded in the same way against ending worse than it began."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from headstart.data.dataset import Splits
from headstart.domains.judging import evidence_of, keep_better, verdicts, without_ground
from headstart.domains.pixel_judging import keep_better_pixels
from headstart.events import Judged
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.tasks.semantic import Semantic
from headstart.validators.validator import NONE, USUAL, GuardName


class TargetMethod(Method):
    """Adapts a model that knows the source to a target without labels."""

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True
    from_answers: ClassVar[bool] = False
    """Whether it builds on what the model says of the target before it is adapted."""

    guard: GuardName = USUAL
    """The validator that must not hold the model for worse than it was before, else that is kept; `none` takes what
    comes."""

    @abstractmethod
    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the adapted model, unjudged, or `model` itself where there is nothing to adapt by.

        Reads train, val and `splits.target`, which has no labels.
        """

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the adapted model, or `model` where the guard holds that for better. Raises as `adapted`."""
        from_answers = self.from_answers
        if from_answers and self.guard != NONE and self.trains_backbone and not isinstance(model.task, Semantic):
            from_answers = False  # what follows need not ask again; a training would take long to find out
            first = evidence_of(model, splits, context)
            if without_ground(self.part_name, first, context):
                context.listen(Judged(self.part_name, 0, verdicts(first)))
                return model
        found = self.adapted(model, splits, context)
        if found is model:
            return model
        if isinstance(model.task, Semantic):
            return keep_better_pixels(self.part_name, model, found, splits, context, guard=self.guard,
                                      from_answers=self.from_answers)
        return keep_better(self.part_name, model, found, splits, context, guard=self.guard, from_answers=from_answers)
