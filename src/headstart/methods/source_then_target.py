"""SourceThenTarget: fine-tune on the source, then on the few labelled images of the target."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from headstart.data.dataset import Dataset, Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


class SourceThenTarget(Plan, Method):
    """Fine-tunes twice: on the source's images alone, and from there, more gently, on those of `target_train` alone.

    The epoch of the second training is chosen by the images that it learns from: there are none to spare. To learn from
    both at once, as joint training does, take `finetune`, or any other method.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    target_epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the labelled images of the target."""
    target_rate: float = Field(0.3, gt=0, le=10)
    """Learning rates of the second training, as a multiple of those of the first."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where the target has no labelled images."""
        if splits.labelled is None:
            raise ConfigError("source_then_target: learns from labelled images of the target, and none are named. Name "
                              "them with --set target_train=FOLDER, beside --target.")

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model after both trainings. Raises as `refuse_unfit` and `train`."""
        self.refuse_unfit(model, splits)
        assert splits.labelled is not None
        source = splits.train.subset(range(len(splits.train) - len(splits.labelled)))  # they stand at its end
        taught = train(model, replace(splits, train=source), self,
                       replace(context, workspace=context.workspace / "source"))
        gently = self.model_copy(update={"epochs": self.target_epochs, "lr_head": self.lr_head * self.target_rate,
                                         "lr_backbone": self.lr_backbone * self.target_rate})
        few = _even(splits.labelled)
        return train(taught, replace(splits, train=few, val=few), gently,
                     replace(context, workspace=context.workspace / "target"))


def _even(part: Dataset) -> Dataset:
    """Return the images with weights that are small numbers again: against the source they count no more."""
    return replace(part, samples=tuple(replace(s, weight=s.weight / part.samples[0].weight) for s in part.samples))
