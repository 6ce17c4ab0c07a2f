"""Adabn: give BatchNorm the statistics of the target's images, and change nothing else."""

from __future__ import annotations

import time
from typing import Literal

from headstart.data.dataset import Dataset, Splits
from headstart.domains.target_method import TargetMethod
from headstart.errors import ConfigError
from headstart.events import Finished
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.batch_norm import adapted, restated
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan


class _Solved(Plan):
    """What the head is solved by: each image as it is, each as heavy as it is."""


class Adabn(TargetMethod):
    """Each domain is normalised by its own statistics, so that the same weights see both alike; nothing is trained.

    Source: Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016.
    """

    head: Literal["solved", "kept"] = "solved"
    """`solved` fits the head anew on the source's features under the source's own statistics, as it must where they
    were those of ImageNet; `kept` leaves it, as fits a model that was trained with the source's."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where the backbone has no BatchNorm."""
        if not any("BatchNorm" in type(module).__name__ for module in model.backbone.modules()):
            raise ConfigError(f"adabn: {model.backbone.spec.architecture} has no BatchNorm, whose statistics could be "
                              "taken anew. Take coral or prototypes.")

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with the target's statistics."""
        assert splits.target is not None, "opening refuses a job without"
        began = time.monotonic()
        start = model
        if self.head == "solved":
            start = adapted(model, _Solved(), _pictures(model, splits.train), _pictures(model, splits.val), context)
        found = restated(start, splits.target, context)
        context.listen(Finished(self.part_name, time.monotonic() - began))
        return found


def _pictures(model: Model, part: Dataset) -> Pictures:
    return Pictures(part, model.preprocessing, budget=SHARE * free_memory())
