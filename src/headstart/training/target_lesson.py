"""TargetLesson: a training that looks at a target without labels, judged by what validators say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headstart.data.dataset import Splits
from headstart.domains.guarding import PLACES
from headstart.domains.judging import verdicts
from headstart.domains.place_sample import PlaceSample
from headstart.errors import ConfigError
from headstart.events import Judged
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.domain_plan import TargetPlan
from headstart.training.monitor import Chosen
from headstart.training.network import Network
from headstart.training.partners import Partners
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan
from headstart.training.whole_lesson import WholeLesson
from headstart.training.whole_pictures import WholePictures
from headstart.types import Batch


class TargetLesson(WholeLesson):
    """The source's loss; what is done with the target's images is up to those who build on it. Stands in front of a
    lesson of masks or boxes.
    """

    plan: TargetPlan

    def __init__(self, model: Model, splits: Splits, plan: TargetPlan, context: Context) -> None:
        assert splits.target is not None, "a method that adapts to a domain has one"
        super().__init__(model, splits, plan, context)
        self.monitor = Chosen(plan.select)
        self.target_pictures = WholePictures(splits.target, model.preprocessing, budget=SHARE * free_memory())
        self.partners = Partners(self.target_pictures, images=len(splits.train), seed=context.seed)
        # Not the guard's: with the threads of the checkpoint, so that a resumed training judges by the same last bits.
        self._sample = PlaceSample(model, splits, context)
        self._validated: Network | None = None
        self._columns: dict[str, float] = {}

    @classmethod
    def refuse_unused(cls, plan: Plan, task: str) -> None:
        """Raise ConfigError where a setting would have no effect; the epoch is chosen by `select`."""
        super().refuse_unused(plan, task)
        if "monitor" in plan.changed():
            raise ConfigError(f"{plan.part_name}: monitor would have no effect on {task}, where a target is adapted "
                              "to: the epoch is chosen by select. Leave it out.")

    def decoded(self) -> dict[str, Pictures]:
        """Return the pictures of both domains."""
        return {"train": self.pictures, "target": self.target_pictures, "val": self.val_pictures}

    def columns(self) -> dict[str, float]:
        """Return what the last validation found besides what chooses: the source's metric, and the guard's view."""
        return self._columns

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[list[Any], list[float]]:
        """Return what each image of the source got, and its loss."""
        self._validated = network
        found: tuple[list[Any], list[float]] = super().answers(network, batch, micro_batch)  # type: ignore[safe-super]
        return found

    def judged(self, answers: Sequence[tuple[list[Any], list[float]]]) -> tuple[float, float]:
        """Return what the validator says of both domains, and the mean loss on the source's validation images."""
        assert self._validated is not None, "the answers came first"
        losses = [loss for _, batch in answers for loss in batch]
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            self._columns = {}
            return math.nan, loss
        found = verdicts(self._sample.evidence(self._validated.backbone, self._validated.head, epoch=self.epoch))
        self.context.listen(Judged(self.plan.part_name, self.epoch, found))
        name = self.model.task.monitor
        self._columns = {f"val_{name}": self._metric([one for batch, _ in answers for one in batch], name),
                         f"val_{PLACES}": found[PLACES]}
        return found[self.plan.select], loss
