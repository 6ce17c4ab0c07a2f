"""SourceThenTarget: fine-tune on the source, then on the few labelled images of the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.events import EpochEnded, Event, Finished, Kept, Listen
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import WHOLE, Plan
from headstart.training.train import train


class SourceThenTarget(Plan, Method):
    """Fine-tunes twice: on the source's images alone, and from there, more gently, on those of `target_train` alone.

    What comes before it knows the source alone, too. The epoch of the second training is chosen by the images that it
    learns from: there are none to spare. To learn from both at once, as joint training does, take `finetune`, or any
    other method.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "detection", "semantic")
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = WHOLE
    needs: ClassVar[tuple[str, ...]] = ("probe",)
    takes_labelled: ClassVar[bool] = True

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
        kept = 0

        def listen(event: Event) -> None:
            nonlocal kept
            kept = event.epoch if isinstance(event, Kept) else kept
            context.listen(event)

        taught = train(model, splits, self, replace(context, workspace=context.workspace / "source", listen=listen))
        # What watches validation would watch the images that are learned from.
        gently = self.model_copy(update={"epochs": self.target_epochs, "lr_head": self.lr_head * self.target_rate,
                                         "lr_backbone": self.lr_backbone * self.target_rate, "on_overfit": "report",
                                         "patience": None})
        return train(taught, replace(splits, train=splits.labelled, val=splits.labelled), gently,
                     replace(context, workspace=context.workspace / "target", listen=self._after(context.listen, kept)))

    def _after(self, listen: Listen, kept: int) -> Listen:
        """Return a listener to whom the epochs of the second training follow on those of the first. kept: of the first.

        It has no validation that a fit could be judged by: it chooses by the images that it learns from.
        """
        def later(event: Event) -> None:
            if isinstance(event, EpochEnded):
                event = replace(event, values={name: value for name, value in event.values.items()
                                               if not name.startswith("val_")})
            if isinstance(event, EpochEnded | Kept):
                event = replace(event, epoch=event.epoch + self.epochs if event.epoch else kept)
            elif isinstance(event, Finished):
                event = replace(event, detail="on the labelled images of the target, which choose its epoch, too")
            listen(event)

        return later
