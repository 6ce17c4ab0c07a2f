"""MaskLesson: a training whose network tells the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headstart.data.dataset import Splits
from headstart.data.pixel_classes import class_counts
from headstart.errors import ConfigError
from headstart.mask_losses.mask_loss import total
from headstart.methods.method import Context
from headstart.metrics.masks import NAMES, confusion_of, mask_metrics, overlaps_of
from headstart.model import Model
from headstart.tasks.semantic import Semantic
from headstart.training.lesson import Share
from headstart.training.mask_pictures import MaskItem, MaskPictures, TrainMasks, ValMasks
from headstart.training.network import Network
from headstart.training.objective import Teaching
from headstart.training.pictures import SHARE, free_memory
from headstart.training.plan import Plan
from headstart.training.sliced_masks import SlicedMasks
from headstart.training.whole_lesson import TRAIN, VAL, WholeLesson
from headstart.types import IGNORED, Batch

# B images in a batch, C classes, H and W pixels


@dataclass(frozen=True, slots=True)
class MaskBatch(Batch):
    """A batch of images on one canvas. targets: int64 [B, H, W], class indices, IGNORED around the pictures."""

    sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of each picture on its canvas."""


class MaskLesson(WholeLesson):
    """Logits of each pixel against its class."""

    subject, learner = "semantic segmentation", "segmentation"
    pictures_type, train_type, val_type = MaskPictures, TrainMasks, ValMasks
    # What says something of one answer for an image, and nothing of pixels.
    unused = ("regularisers", "label_smoothing", "policy", "erasing", "mix", "dropout", "loss", "sampling")
    pictures: MaskPictures
    val_pictures: MaskPictures

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for settings that would have no effect on pixels, and for an unknown metric."""
        if plan.class_weights == "effective":
            raise ConfigError(f"{plan.part_name}: class_weights=effective counts images, which say little of pixels. "
                              "Take balanced or none.")
        super().refuse(plan, model)

    def __init__(self, model: Model, splits: Splits, plan: Plan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        assert isinstance(model.task, Semantic), type(model.task)
        if model.task.slices is not None:
            self.pictures, self.val_pictures = (
                SlicedMasks(part, model.preprocessing, model.task.slices, budget=SHARE * free_memory(),
                            scratch=context.workspace, once=once)
                for part, once in ((splits.train, False), (splits.val, True)))

    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Take the network in; return what must follow it to its device."""
        assert teaching is None, "no method teaches pixels"
        return []

    def batch(self, items: Sequence[MaskItem]) -> MaskBatch:
        """Return the images on one canvas, on the device."""
        device = self.context.device
        images = self._canvas([item.image for item in items])
        height, width = images.shape[-2:]
        sizes = tuple((item.classes.shape[0], item.classes.shape[1]) for item in items)
        targets = torch.stack([functional.pad(item.classes, (0, width - wide, 0, height - high), value=IGNORED)
                               for item, (high, wide) in zip(items, sizes, strict=True)]).to(device).long()
        return MaskBatch(images, targets, torch.tensor([item.weight for item in items], device=device),
                         torch.tensor([item.index for item in items], device=device), sizes)

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch."""
        count = len(batch.targets)
        keys = [(TRAIN, int(batch.indices[row])) for row in rows]
        losses = self._losses(self._logits(network, batch.images[rows], keys), batch.targets[rows])
        weights = batch.weights[rows]
        loss = (losses * weights).sum()
        (loss / count).backward()
        value = float(loss.detach())
        return Share(value / count, value, float(weights.sum()))

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[list[np.ndarray], list[float]]:
        """Return the confusion of each image, int64 [C, C], and its loss."""
        assert isinstance(batch, MaskBatch), type(batch)
        found, losses = [], []
        for rows in torch.arange(len(batch.targets)).split(micro_batch):
            logits = self._logits(network, batch.images[rows], [(VAL, int(batch.indices[row])) for row in rows])
            losses += self._losses(logits, batch.targets[rows]).tolist()
            for row, answer in zip(rows.tolist(), logits.argmax(dim=1).cpu().numpy(), strict=True):
                high, wide = batch.sizes[row]
                truth = batch.targets[row, :high, :wide].cpu().numpy()
                found.append(confusion_of(truth, answer[:high, :wide], len(self.model.classes)))
        return found, losses

    @classmethod
    def metrics_of(cls, model: Model) -> tuple[str, ...]:
        """Return the names of what validation may be judged by, besides the loss."""
        return NAMES

    def _metric(self, found: list[np.ndarray], name: str) -> float:
        return mask_metrics(overlaps_of(np.stack(self.val_pictures.gathered(found))))[name]

    def blank(self, count: int) -> MaskBatch:
        """Return a batch of black images of the first class."""
        return self.batch([self._black()] * count)

    def _black(self) -> MaskItem:
        """Return a black image of the first class."""
        settings = self.preprocessing
        image = torch.zeros(settings.channels, settings.size, settings.size, dtype=torch.uint8)
        classes = torch.zeros(settings.size, settings.size, dtype=torch.uint8)
        # At no position of the data: maps that are kept must not be taken for those of a picture.
        return MaskItem(image, classes, 1.0, -1)

    @cached_property
    def _class_weights(self) -> torch.Tensor:
        """float32 [C]: 1, or what makes every class count the same, however many pixels it has; mean 1 over pixels."""
        classes = len(self.model.classes)
        if self.plan.class_weights == "none":
            return torch.ones(classes, device=self.context.device)
        counts = sum(class_counts(self.pictures.labelled(row).classes, classes)
                     for row in range(len(self.pictures.dataset)))
        shown = np.maximum(counts, 1)
        return torch.from_numpy((shown.sum() / (classes * shown)).astype(np.float32)).to(self.context.device)

    def _losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return total(self.plan.mask_losses, logits, targets, self._class_weights)

    def _logits(self, network: Network, images: torch.Tensor, keys: Sequence[tuple[str, int]]) -> torch.Tensor:
        """Return float32 [B, C, H, W]. keys: part and position of each image."""
        maps = self._seen(network, images, keys)
        with self.autocast():
            logits: torch.Tensor = network.head(maps, images)
            return logits
