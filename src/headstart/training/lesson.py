"""Lesson: the contract of what a training learns: its examples, the loss of a batch, and what validation says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.loading import Examples
from headstart.training.monitor import Watched
from headstart.training.network import Network
from headstart.training.objective import Teaching
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan, uses_bf16
from headstart.types import Batch

# B images in a batch


class Share(NamedTuple):
    """What some rows of a batch added."""

    loss: float
    """Their share of the loss that the gradient is of."""
    shown: float
    """Sum of weight x plain loss, for the curve."""
    weight: float


class Lesson(ABC):
    """What one kind of task teaches a network. The learner knows steps, epochs and checkpoints, and nothing of this."""

    monitor: Watched
    progress = 0.0
    """Share of all steps that is done; the learner sets it."""
    epoch = 0
    """Epochs done when validation begins; the learner sets it."""
    pictures_type: type[Pictures] = Pictures
    unused: ClassVar[tuple[str, ...]]
    """Settings of a plan that have no effect on the lesson's tasks."""

    def __init__(self, model: Model, splits: Splits, plan: Plan, context: Context) -> None:
        self.model, self.plan, self.context = model, plan, context
        self.preprocessing = model.preprocessing
        self.bf16 = uses_bf16(plan.precision, context.device)
        self.pictures, self.val_pictures = (
            self.pictures_type(part, model.preprocessing, budget=SHARE * free_memory())
            for part in (splits.train, splits.val))

    @classmethod
    @abstractmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError where the plan can't be carried out on the model's task; reads no image."""

    @classmethod
    def refuse_unused(cls, plan: Plan, task: str) -> None:
        """Raise ConfigError where a setting is set that would have no effect on the task."""
        idle = [name for name in cls.unused if name in plan.changed()]
        if idle:
            raise ConfigError(f"{plan.part_name}: {', '.join(idle)} would have no effect on {task}. Leave it out.")

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes."""
        return torch.autocast(self.context.device, torch.bfloat16, enabled=self.bf16)

    def companion(self) -> nn.Module | None:
        """Return what learns beside the network in the same steps; None where nothing does."""
        return None

    def decoded(self) -> dict[str, Pictures]:
        """Return the pictures that training needs in memory, by part, the most needed first."""
        return {"train": self.pictures, "val": self.val_pictures}

    def columns(self) -> dict[str, float]:
        """Return what else the last validation found, for the history."""
        return {}

    @abstractmethod
    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Get to know the network in training; return what else must be moved to its device."""

    def ready(self, network: Network) -> None:  # noqa: B027
        """Do what must be done before the first step. All pictures are decoded, and the network is on its device."""

    @abstractmethod
    def examples(self, level: int) -> Examples:
        """Return the training images at a level of regularisation."""

    def alike(self) -> np.ndarray | None:
        """Return int64 [N], numbers of which neighbours belong in one batch of training; None where any do.

        Called when all pictures were decoded.
        """
        return None

    @abstractmethod
    def val(self) -> DataLoader[Any]:
        """Return the batches of validation, in the order of the split."""

    @abstractmethod
    def batch(self, items: Sequence[Any]) -> Batch:
        """Return a loader's items on the device, normalised."""

    @abstractmethod
    def prepared(self, batch: Batch) -> Batch:
        """Return the batch as the loss wants it."""

    @abstractmethod
    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of a batch: of their part of its mean loss."""

    @abstractmethod
    def answers(self, network: Network, batch: Batch, micro_batch: int) -> Any:
        """Return what the network, in eval mode and without gradients, says of a batch of validation."""

    @abstractmethod
    def judged(self, answers: Sequence[Any]) -> tuple[float, float]:
        """Return the watched metric and the mean loss of all batches of validation."""

    @abstractmethod
    def blank(self, count: int) -> Batch:
        """Return a batch of black images."""
