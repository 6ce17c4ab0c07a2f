"""TargetMethod: methods that adapt to a target, each guarded in the same way against ending worse than it began."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from headstart.data.dataset import Splits
from headstart.domains.guarding import has_ground, keep_better
from headstart.domains.sight import sight
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.validators.validator import NONE, USUAL, GuardName


class TargetMethod(Method):
    """Adapts a model that knows the source to a target without labels."""

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    needs_target: ClassVar[bool] = True
    from_answers: ClassVar[bool] = False
    """Whether it builds on what the model says of the target before it is adapted."""
    like_shares: ClassVar[bool] = True
    """Whether it presupposes that the classes stand in the target in about the source's shares: what brings two sets
    together as wholes mixes up classes of which one has more than the other (Zhao et al., "On Learning Invariant
    Representations for Domain Adaptation", ICML 2019)."""

    guard: GuardName = USUAL
    """The validator that must not hold the model for worse than it was before, else that is kept; `none` takes what
    comes."""

    @abstractmethod
    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the adapted model, unjudged, or `model` itself where there is nothing to adapt by.

        Reads train, val and `splits.target`, which has no labels.
        """

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the adapted model, or `model` where the guard holds that for better. Raises as `adapted`.

        Whether there is ground to build on is asked first: a training would take long to find out.
        """
        seen = sight(model, splits, context)
        if self.guard != NONE and not has_ground(self.part_name, model, seen, context, guard=self.guard,
                                                 needed=self.from_answers):
            return model
        found = self.adapted(model, splits, context)
        if found is model:
            return model
        return keep_better(self.part_name, model, found, seen, context, guard=self.guard,
                           like_shares=self.like_shares)
