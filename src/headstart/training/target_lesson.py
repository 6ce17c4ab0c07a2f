"""TargetLesson: a training of a segmenter that looks at a target without masks, judged by what validators say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.data.dataset import Splits
from headstart.domains.judging import verdicts
from headstart.domains.pixel_judging import GUARD
from headstart.domains.pixel_sample import PixelSample
from headstart.errors import ConfigError
from headstart.events import Judged
from headstart.methods.method import Context
from headstart.metrics.masks import mask_metrics, overlaps_of
from headstart.model import Model
from headstart.tasks.semantic import Semantic
from headstart.training.domain_plan import TargetPlan
from headstart.training.mask_lesson import MaskLesson
from headstart.training.monitor import Chosen
from headstart.training.network import Network
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan
from headstart.training.whole_pictures import WholePictures
from headstart.types import Batch

# C classes


class TargetLesson(MaskLesson):
    """The source's loss; what is done with the target's images is up to those who build on it."""

    unused = (*MaskLesson.unused, "monitor")  # type: ignore[assignment]
    plan: TargetPlan

    def __init__(self, model: Model, splits: Splits, plan: TargetPlan, context: Context) -> None:
        assert splits.target is not None, "a method that adapts to a domain has one"
        super().__init__(model, splits, plan, context)
        self.monitor = Chosen(plan.select)
        self.target_pictures = WholePictures(splits.target, model.preprocessing, budget=SHARE * free_memory())
        self._sample = PixelSample(model, splits, context)
        self._validated: Network | None = None
        self._columns: dict[str, float] = {}

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for another task, and as `MaskLesson.refuse`."""
        if not isinstance(model.task, Semantic):
            raise ConfigError(f"{plan.part_name}: for semantic segmentation, not for {model.task.part_name}.")
        super().refuse(plan, model)

    def decoded(self) -> dict[str, Pictures]:
        """Return the pictures of both domains."""
        return {"train": self.pictures, "target": self.target_pictures, "val": self.val_pictures}

    def columns(self) -> dict[str, float]:
        """Return what the last validation found besides what chooses: the source's mean IoU, and the guard's view."""
        return self._columns

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[list[np.ndarray], list[float]]:
        """Return the confusion of each image of the source, int64 [C, C], and its loss."""
        self._validated = network
        return super().answers(network, batch, micro_batch)

    def judged(self, answers: Sequence[tuple[list[np.ndarray], list[float]]]) -> tuple[float, float]:
        """Return what the validator says of both domains, and the mean loss on the source's validation images."""
        assert self._validated is not None, "the answers came first"
        losses = [loss for _, batch in answers for loss in batch]
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            return math.nan, loss
        confusions = self.val_pictures.gathered([one for batch, _ in answers for one in batch])
        name = self.model.task.monitor
        found = verdicts(self._sample.evidence(self._validated.backbone, self._validated.head, epoch=self.epoch))
        self.context.listen(Judged(self.plan.part_name, self.epoch, found))
        self._columns = {f"val_{name}": mask_metrics(overlaps_of(np.stack(confusions)))[name],
                         f"val_{GUARD}": found[GUARD]}
        return found[self.plan.select], loss
