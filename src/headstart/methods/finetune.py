"""Finetune: train head and backbone together, gently, from the probe's head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.events import Kept, Note
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.tasks.task import ImageTask
from headstart.training.interpolation import choose_alpha
from headstart.training.plan import WHOLE, Plan
from headstart.training.train import train


class Finetune(Plan, Method):
    """Trains backbone and head by gradient descent, the backbone more slowly; starts from the probe's head.

    A fresh head would send large random gradients through good features; one that the probe solved does not
    (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022).
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "detection", "semantic")
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = WHOLE
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    interpolate: Literal["none", "validation"] = "none"
    """`validation` goes back from the fine-tuned weights towards the start's, as far as validation likes (WiSE-FT)."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where `interpolate` has no two ends that fit together, or none can be judged."""
        if self.interpolate != "none" and not isinstance(model.task, ImageTask):
            raise ConfigError(f"finetune: interpolate can't judge {model.task.part_name}. Leave it out.")
        if self.interpolate != "none" and self.batch_norm != "frozen":
            raise ConfigError(f"finetune: interpolate={self.interpolate} needs batch_norm=frozen: between weights with "
                              "other statistics there is none that fits. Leave out the one or the other.")

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return `model` with the weights of the best epoch, or between these and its own.

        Raises as `refuse_unfit` and `train`.
        """
        tuned = train(model, splits, self, context)
        if self.interpolate == "none":
            return tuned
        chosen, alpha, table = choose_alpha(model, tuned, splits.val, context, monitor=self.monitor)
        if alpha == 0:
            context.listen(Kept(self.part_name, 0))
        rows = ", ".join(f"{a:g}: {judged.metric:.3f} ({judged.loss:.3f})" for a, judged in table.items())
        context.listen(Note(f"{self.part_name}: of the way from the start's weights (0) to the fine-tuned ones (1), "
                            f"{alpha:g} is best on validation. {self.monitor or model.task.monitor} (loss): {rows}"))
        return chosen
