"""WholeLesson: a training on whole pictures in their proportions, whose network says something of places in them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import DataLoader

from headstart.backbones.maps import Maps
from headstart.canvas import on_canvas
from headstart.data.dataset import Splits
from headstart.errors import ConfigError, nearest
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.batch_finder import available
from headstart.training.box_pictures import BoxPictures, TrainBoxes, ValBoxes
from headstart.training.frozen_maps import FrozenMaps
from headstart.training.imbalance import train_weights
from headstart.training.lesson import Lesson
from headstart.training.mask_pictures import MaskPictures, TrainMasks, ValMasks
from headstart.training.monitor import Watched
from headstart.training.network import Network
from headstart.training.pictures import SHARE
from headstart.training.plan import Plan
from headstart.types import Batch

# B images in a batch

TRAIN, VAL = "train", "val"


class WholeLesson(Lesson):
    """What boxes and masks have in common; the maps of a frozen backbone are kept where images do not vary."""

    subject: ClassVar[str]
    """What is learnt, for messages, such as `detection`."""
    learner: ClassVar[str]
    """What learns it, such as `a detector`."""
    train_type: ClassVar[type[TrainBoxes] | type[TrainMasks]]
    val_type: ClassVar[type[ValBoxes] | type[ValMasks]]
    pictures: BoxPictures | MaskPictures
    val_pictures: BoxPictures | MaskPictures

    def __init__(self, model: Model, splits: Splits, plan: Plan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        self.monitor = self._watched(plan, model)
        self.wanted: dict[str, Any] = {}
        """What else the examples hold."""
        self.beside: dict[str, Any] = {}
        """What else the images to learn from are made with."""
        still = plan.scope == "head" and plan.augment == "none"
        finest: int = model.head.finest  # type: ignore[assignment]
        self._maps = FrozenMaps(SHARE * available(context.device), finest) if still else None
        """What is kept, on the device, where the backbone gives the same maps of an image in every epoch."""

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for settings that would have no effect, and for an unknown metric."""
        cls.refuse_unused(plan, cls.subject)
        if plan.batch_norm == "adapt":
            raise ConfigError(f"{plan.part_name}: batch_norm=adapt solves a linear head anew, which {cls.learner} has "
                              "not. Take frozen or train.")
        cls._watched(plan, model)

    @classmethod
    def _watched(cls, plan: Plan, model: Model) -> Watched:
        """Return what validation is judged by. Raises ConfigError for a name that is no metric of the subject."""
        name, known = plan.monitor or model.task.monitor, (*cls.metrics_of(model), "loss")
        if name not in known:
            raise ConfigError(f'monitor "{name}" is not a metric of {cls.subject} that training can watch.'
                              + nearest(name, known))
        return Watched(name, "min" if name == "loss" else "max")

    @classmethod
    @abstractmethod
    def metrics_of(cls, model: Model) -> tuple[str, ...]:
        """Return the names of what validation may be judged by, besides the loss."""

    def examples(self, level: int) -> TrainBoxes | TrainMasks:
        """Return the augmented training images."""
        if level:
            self._maps = None  # from the first level on the overfitting watch augments
        weights = train_weights(self.pictures.dataset, "none")
        return self.train_type(self.pictures, weights, preset=self.plan.augment, level=level,  # type: ignore[arg-type]
                               seed=self.context.seed, **self.wanted, **self.beside)

    def alike(self) -> np.ndarray | None:
        """Return which pictures share a batch: others would be filled up to the largest of theirs."""
        return self.pictures.aspects()

    def val(self) -> DataLoader[Any]:
        """Return the batches of validation."""
        return DataLoader(self.val_type(self.val_pictures, **self.wanted),  # type: ignore[arg-type]
                          batch_size=self.plan.batch_size, collate_fn=list)

    def prepared(self, batch: Batch) -> Batch:
        """Return the batch as the loss wants it."""
        return batch

    def judged(self, answers: Sequence[tuple[list[Any], list[float]]]) -> tuple[float, float]:
        """Return the watched metric and the mean loss. answers: of each batch, what each image got, and its loss."""
        losses = [loss for _, batch in answers for loss in batch]
        loss = sum(losses) / len(losses)
        if self.monitor.name == "loss":
            return loss, loss
        if not math.isfinite(loss):
            return math.nan, loss
        return self._metric([one for batch, _ in answers for one in batch], self.monitor.name), loss

    @abstractmethod
    def _metric(self, found: list[Any], name: str) -> float:
        """Return a metric of what all images of validation got."""

    def _canvas(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return float32 [B, channels, H, W], images uint8 [channels, h, w] on one canvas, on the device."""
        return on_canvas([image.to(self.context.device, non_blocking=True) for image in images], self.preprocessing)

    def _seen(self, network: Network, images: torch.Tensor, keys: Sequence[tuple[str, int]]) -> Maps:
        """Return the backbone's maps of images; where it is frozen and they do not vary, each image's from the first.

        keys: part and position of each image.
        """
        with self.autocast():
            if self._maps is None:
                return network.backbone.maps(images)
            return self._maps.of(network.backbone, images, keys)
