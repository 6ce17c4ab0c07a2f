"""Adabn: give BatchNorm the statistics of the target's images, and change nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from headstart.data.dataset import Dataset, Splits
from headstart.domains.guarding import PLACES
from headstart.domains.target_method import TargetMethod
from headstart.errors import ConfigError
from headstart.events import Finished
from headstart.methods.method import Context
from headstart.model import Model
from headstart.tasks.task import ImageTask
from headstart.training.batch_norm import adapted, norms_of, restated, restated_whole
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan
from headstart.training.signals import StopSignals
from headstart.training.whole_pictures import WholePictures


class _Solved(Plan):
    """What the head is solved by: each image as it is, each as heavy as it is."""


class Adabn(TargetMethod):
    """Each domain is normalised by its own statistics, so that the same weights see both alike; nothing is trained.

    Source: Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "semantic", "detection")
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        task: {"head": "kept", "guard": PLACES} for task in ("semantic", "detection")}

    head: Literal["solved", "kept"] = "solved"
    """`solved` fits the head anew on the source's features under the source's own statistics, as it must where they
    were those of ImageNet; `kept` leaves it, as fits a model that was trained with the source's. That of a segmenter or
    detector keeps its weights; any BatchNorm of its own gets the target's statistics, too."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where there is no BatchNorm, or a head has no closed form."""
        if self.head == "solved" and not isinstance(model.task, ImageTask):
            raise ConfigError(f"adabn: head=solved fits a linear head anew, which no model for {model.task.part_name} "
                              "has. Take kept.")
        if not norms_of(model.backbone) and not norms_of(model.head):
            others = "coral or prototypes" if isinstance(model.task, ImageTask) else "fda or mean_teacher"
            raise ConfigError(f"adabn: {model.backbone.spec.architecture} has no BatchNorm, whose statistics could be "
                              f"taken anew. Take {others}.")

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with the target's statistics."""
        assert splits.target is not None, "opening refuses a job without"
        began = time.monotonic()
        start = model
        if self.head == "solved":
            start = adapted(model, _Solved(), _pictures(model, splits.train), _pictures(model, splits.val), context)
        if not isinstance(model.task, ImageTask):
            found = restated_whole(model, self._decoded(model, splits.target, context), context)
        else:
            found = restated(start, splits.target, context)
        context.listen(Finished(self.part_name, time.monotonic() - began))
        return found

    def _decoded(self, model: Model, part: Dataset, context: Context) -> WholePictures:
        pictures = WholePictures(part, model.preprocessing, budget=SHARE * free_memory())
        with StopSignals() as stop:
            pictures.load(step=f"{self.part_name}: decoding target", listen=context.listen,
                          check=lambda: stop.raise_if_requested(f"{self.part_name}, decoding"))
        return pictures


def _pictures(model: Model, part: Dataset) -> Pictures:
    return Pictures(part, model.preprocessing, budget=SHARE * free_memory())
