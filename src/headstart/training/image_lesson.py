"""ImageLesson: a training whose network says something of each image as a whole, in logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, default_collate

from headstart.data.dataset import Splits
from headstart.domains.judging import even_rows
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.batch_norm import BATCH
from headstart.training.imbalance import check_plan, prior, train_weights
from headstart.training.lesson import Lesson, Share
from headstart.training.loading import val_loader
from headstart.training.monitor import Monitor
from headstart.training.network import Network
from headstart.training.objective import Objective, Teaching, refuse_lacking
from headstart.training.pictures import TrainImages, ValImages
from headstart.training.plan import Plan
from headstart.types import Batch

# B images in a batch, C classes

WEIGHED = 200
"""Images at most that tell how much the start's answers hang on each weight."""


class ImageLesson(Lesson):
    """Logits [B, C] against classes or labels."""

    unused = ("mask_losses",)
    objective: Objective
    monitor: Monitor

    def __init__(self, model: Model, splits: Splits, plan: Plan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        self.task = model.answers
        self.monitor = Monitor(plan.monitor or self.task.monitor, self.task, len(model.classes))
        self._prior = torch.from_numpy(prior(splits.train)).to(context.device)

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError where plan and task do not go together."""
        cls.refuse_unused(plan, model.task.part_name)
        check_plan(plan, model.task.part_name)
        Monitor(plan.monitor or model.task.monitor, model.answers, len(model.classes))
        refuse_lacking(plan)

    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Take the network in; return what must follow it to its device."""
        self.objective = Objective(self.plan, self.task, self._prior, network, teaching=teaching, averaged=averaged)
        return [] if self.objective.reference is None else [self.objective.reference]

    def examples(self, level: int) -> TrainImages:
        """Return the augmented training images."""
        plan = self.plan
        weights = train_weights(self.pictures.dataset, plan.class_weights, sampling=plan.sampling)
        return TrainImages(self.pictures, weights, preset=plan.augment, policy=plan.policy, erasing=plan.erasing,
                           level=level, seed=self.context.seed)

    def val(self) -> DataLoader[Any]:
        """Return the batches of validation."""
        return val_loader(ValImages(self.val_pictures), self.plan.batch_size, pinned=self.context.device == "cuda")

    def batch(self, items: Sequence[torch.Tensor]) -> Batch:
        """Return images, targets, weights and indices on the device."""
        pixels, targets, weights, indices = (item.to(self.context.device, non_blocking=True) for item in items)
        images = self.preprocessing.normalise(pixels.contiguous(memory_format=torch.channels_last))
        return Batch(images, targets, weights, indices)

    def prepared(self, batch: Batch) -> Batch:
        """Return the batch as the loss wants it."""
        return self.objective.prepared(batch)

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch."""
        count, share = len(batch.targets), len(rows) / len(batch.targets)
        whole = share == 1
        images, weights = (part if whole else part[rows] for part in (prepared.images, prepared.weights))
        features, logits = self.outputs(network, images)
        with self.autocast():  # a teacher and a reference compute as the network does
            loss = (self.objective.losses(logits, prepared, rows) * weights).sum() / count
            if self.plan.regularisers:
                loss = loss + share * self.objective.penalty(network, images, features, logits)
        loss.backward()
        # The curve shows the plain loss, so that it can be held against validation's.
        shown = batch.targets[rows] if self.plan.mix is None else prepared.targets[rows]
        with torch.no_grad():
            plain = self.task.loss(logits, shown) * weights
        self.monitor.update(logits, batch.targets[rows])
        return Share(float(loss.detach()), float(plain.sum()), float(weights.sum()))

    def ready(self, network: Network) -> None:
        """Find out what the start's answers hang on, where a regulariser asks for it."""
        if self.objective.wants_importance:
            with self.autocast():
                self.objective.weigh(network, self._some_of_val)

    def _some_of_val(self) -> Iterator[torch.Tensor]:
        """Give images of validation, float32 [B, channels, H, W]."""
        images = ValImages(self.val_pictures)
        for rows in torch.from_numpy(even_rows(len(images), WEIGHED)).split(BATCH):
            yield self.batch(default_collate([images[row] for row in rows.tolist()])).images

    def outputs(self, network: Network, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 features [B, D] and logits [B, C]."""
        with self.autocast():
            features, logits = network.features_and_logits(images)
        return features.float(), logits.float()

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[torch.Tensor, ...]:
        """Return logits, targets and weights."""
        logits = torch.cat([self.outputs(network, part)[1] for part in batch.images.split(micro_batch)])
        return logits, batch.targets, batch.weights

    def judged(self, answers: Sequence[tuple[torch.Tensor, ...]]) -> tuple[float, float]:
        """Return the watched metric and the mean loss."""
        logits, targets, weights = (torch.cat(column) for column in zip(*answers, strict=True))
        loss = float((self.task.loss(logits, targets) * weights).sum(dtype=torch.float64) / weights.sum())
        return self.monitor.judged(logits, targets, weights, loss), loss

    def blank(self, count: int) -> Batch:
        """Return a batch of black images."""
        settings, device = self.preprocessing, self.context.device
        pixels = torch.zeros(count, settings.channels, settings.size, settings.size, dtype=torch.uint8, device=device)
        targets = (torch.zeros((count, len(self._prior)), device=device) if self.objective.several
                   else torch.zeros(count, dtype=torch.int64, device=device))
        images = settings.normalise(pixels.contiguous(memory_format=torch.channels_last))
        weights, indices = torch.ones(count, device=device), torch.zeros(count, dtype=torch.int64, device=device)
        return Batch(images, targets, weights, indices)
