"""Objective: what the gradient is taken of: the loss on smoothed and mixed labels, a teacher's word, and penalties."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from headstart.errors import ConfigError
from headstart.regularisers.regulariser import Step
from headstart.tasks.task import ImageTask
from headstart.training.importance import fisher
from headstart.training.network import Network
from headstart.training.plan import Plan
from headstart.types import Batch

# B images, C classes, D features


@dataclass(frozen=True)
class Teaching:
    """A teacher's share in the loss."""

    weight: float
    """0 hears the labels alone, 1 the teacher alone."""
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """(images float32 [B, channels, H, W] as the student sees them, its logits [B, C]) -> [B], a loss for each."""


class Objective:
    """The loss of a plan on a task of `classes` classes."""

    def __init__(self, plan: Plan, task: ImageTask, prior: torch.Tensor, network: Network, *,
                 averaged: nn.Module | None, teaching: Teaching | None) -> None:
        self.plan, self.task, self.prior = plan, task, prior
        self.several = task.part_name == "multilabel"
        """Whether an image can have several labels."""
        self.averaged, self.teaching = averaged, teaching
        needed = {name for regulariser in plan.regularisers for name in regulariser.uses}
        self.reference = copy.deepcopy(network).requires_grad_(False).eval() if "reference" in needed else None
        self._importance: dict[str, torch.Tensor] | None = None
        self.wants_importance = "importance" in needed
        """Whether `weigh` must come before the first `penalty`."""

    def prepared(self, batch: Batch) -> Batch:
        """Return the batch with targets float32 [B, C], smoothed and mixed."""
        targets = self.soft(batch.targets)
        if self.plan.mix is None:
            return dataclasses.replace(batch, targets=targets)
        images, targets, weights = self.plan.mix(batch.images, targets, batch.weights)
        return dataclasses.replace(batch, images=images, targets=targets, weights=weights)

    def soft(self, targets: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, C]: one-hot rows or labels, of which a share is spread over the classes (or 0 and 1)."""
        classes = len(self.prior)
        hard = targets.float() if targets.ndim == 2 else functional.one_hot(targets, classes).float()
        share = self.plan.label_smoothing
        return hard if not share else hard * (1 - share) + share / (2 if self.several else classes)

    def losses(self, logits: torch.Tensor, batch: Batch, rows: torch.Tensor) -> torch.Tensor:
        """Return float32 [B] for some rows of a prepared batch."""
        compute = self.plan.loss.sigmoid if self.several else self.plan.loss.softmax
        losses = compute(logits, batch.targets[rows], self.prior)
        if self.teaching is None:
            return losses
        taught = self.teaching.losses(batch.images[rows], logits)
        return (1 - self.teaching.weight) * losses + self.teaching.weight * taught

    def weigh(self, network: Network, batches: Callable[[], Iterable[torch.Tensor]]) -> None:
        """Find out what the start's answers hang on. batches: as for `fisher`."""
        assert self.reference is not None, "what wants the importance wants the start, too"
        with network.all_thawed():
            names = [name for name, parameter in network.backbone.named_parameters(prefix="backbone")
                     if parameter.requires_grad]
        self._importance = fisher(self.reference, self.task, names, batches,
                                  restated=self.plan.batch_norm == "train") if names else {}

    def penalty(self, network: Network, images: torch.Tensor, features: torch.Tensor,
                logits: torch.Tensor) -> torch.Tensor:
        """Return the sum of the regularisers' penalties, a scalar."""
        step = Step(network, images, features, logits, self.reference, self.averaged, self._importance,
                    several=self.several)
        return sum((regulariser.penalty(step) for regulariser in self.plan.regularisers), logits.new_zeros(()))


def refuse_lacking(plan: Plan) -> None:
    """Raise ConfigError where a regulariser lacks what it needs."""
    for regulariser in plan.regularisers:
        if "averaged" in regulariser.uses and not (plan.average is not None and plan.average.follows):
            raise ConfigError(f"{plan.part_name}: {regulariser.part_name} learns from the average of the weights; "
                              "set average=ema.")
