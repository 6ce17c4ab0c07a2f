"""BoxLesson: a training whose network finds boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from headstart import seeds
from headstart.backbones.maps import Maps
from headstart.data.dataset import Splits
from headstart.detecting import to_original
from headstart.detectors.head import DetectionHead, Target
from headstart.errors import ConfigError, DataError, listed
from headstart.methods.method import Context
from headstart.metrics.boxes import MASK, MASK_NAMES, NAMES, detection_metrics, mask_overlaps, truth_of
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.training.box_pictures import BoxItem, BoxPictures, TrainBoxes, ValBoxes
from headstart.training.lesson import Share
from headstart.training.network import Network
from headstart.training.objective import Teaching
from headstart.training.pictures import SHARE, free_memory
from headstart.training.plan import Plan
from headstart.training.sliced_boxes import SlicedBoxes
from headstart.training.whole_lesson import TRAIN, VAL, WholeLesson
from headstart.types import Batch, Detections, Sample

# B images in a batch, K boxes


@dataclass(frozen=True, slots=True)
class BoxBatch(Batch):
    """A batch of images on one canvas."""

    targets: list[Target]  # type: ignore[assignment]


class BoxLesson(WholeLesson):
    """Boxes against boxes; the detector's own losses."""

    subject, learner = "detection", "a detector"
    pictures_type, train_type, val_type = BoxPictures, TrainBoxes, ValBoxes
    # What says something of logits, of whole images, or of pixels, and nothing of boxes.
    unused = ("regularisers", "label_smoothing", "policy", "erasing", "mix", "dropout", "loss", "class_weights",
              "sampling", "mask_losses")
    pictures: BoxPictures
    val_pictures: BoxPictures

    def __init__(self, model: Model, splits: Splits, plan: Plan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        assert isinstance(model.task, Detection), type(model.task)
        self.masks = tells_masks(model)
        if self.masks:
            self.wanted = {"masks": True}
            _refuse_bare([*splits.train.samples, *splits.val.samples])
        if model.task.slices is not None:
            # Validation sees every slice; of those to learn from, the ones without objects are thinned out.
            self.pictures, self.val_pictures = (
                SlicedBoxes(part, model.preprocessing, model.task.slices, budget=SHARE * free_memory(),
                            scratch=context.workspace, seed=seed, masks=self.masks)
                for part, seed in ((splits.train, context.seed), (splits.val, None)))
        self._objects = [sample.objects or () for sample in splits.val.samples]
        self._truths = [truth_of(objects) for objects in self._objects]

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for settings that would have no effect on boxes, for a mean of masks, an unknown metric."""
        assert isinstance(model.task, Detection), type(model.task)
        if tells_masks(model) and model.task.slices is not None and model.task.slices.merge == "wbf":
            raise ConfigError("slices.merge=wbf: a mean is made of boxes, and of masks there is none. Take nms, or a "
                              "detector of boxes.")
        super().refuse(plan, model)

    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Take the network in; return what must follow it to its device. Raises ConfigError for weights in vain."""
        assert teaching is None, "no method teaches boxes"
        if network.head_has_batch_norm and len(set(self.pictures.dataset.weights().tolist())) > 1:
            raise ConfigError(f"{self.plan.part_name}: the images have different weights, and the BatchNorm of this "
                              "detector's head takes a batch as a whole. Choose another detector (fcos, retinanet, "
                              "faster_rcnn), or give all images one weight.")
        return []

    def batch(self, items: Sequence[BoxItem]) -> BoxBatch:
        """Return the images on one canvas, on the device."""
        device = self.context.device
        images = self._canvas([item.image for item in items])
        height, width = images.shape[-2:]
        targets = [{"boxes": item.boxes.to(device), "labels": item.labels.to(device),
                    **({} if item.masks is None else {"masks": on_whole(item.masks, height, width).to(device)})}
                   for item in items]
        return BoxBatch(images, targets, torch.tensor([item.weight for item in items], device=device),
                        torch.tensor([item.index for item in items], device=device))

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch."""
        count, chosen = len(batch.targets), [int(row) for row in rows]
        images = batch.images if len(chosen) == count else batch.images[rows]
        keys = [(TRAIN, int(batch.indices[row])) for row in chosen]
        weights, targets = batch.weights[rows], [batch.targets[row] for row in chosen]
        loss = self._weighted(network, self._seen(network, images, keys), images, targets, weights)  # type: ignore[arg-type]
        (loss / count).backward()
        value = float(loss.detach())
        return Share(value / count, value, float(weights.sum()))

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[list[Detections], list[float]]:
        """Return what is found in each image, and its loss."""
        # Some detectors draw the boxes that their loss looks at: the same ones, whatever was drawn before.
        torch.manual_seed(seeds.derive(self.context.seed, "validation"))
        found, losses = [], []
        for rows in torch.arange(len(batch.targets)).split(micro_batch):
            images, targets = batch.images[rows], [batch.targets[int(row)] for row in rows]
            maps = self._seen(network, images, [(VAL, int(batch.indices[row])) for row in rows])
            losses += [float(self._loss(network, maps, images, targets))] * len(rows)  # type: ignore[arg-type]
            found += head_of(network).detect(maps, images)
        return [self._original(one, int(index)) for one, index in zip(found, batch.indices, strict=True)], losses

    def _metric(self, found: list[Detections], name: str) -> float:
        plain = name.removeprefix(MASK)
        masks, whole = None, self.val_pictures.gathered(found)
        if name != plain:
            masks = [mask_overlaps(said, objects, size) for said, objects, size in zip(
                whole, self._objects, self.val_pictures.sizes(), strict=True)]
        return detection_metrics(whole, self._truths, len(self.model.classes), names=[plain], masks=masks)[plain]

    @classmethod
    def metrics_of(cls, model: Model) -> tuple[str, ...]:
        """Return the names of what validation may be judged by, besides the loss."""
        return (*NAMES, *MASK_NAMES) if tells_masks(model) else NAMES

    def blank(self, count: int) -> BoxBatch:
        """Return a batch of black images with a box each."""
        return self.batch([self._black()] * count)

    def _black(self) -> BoxItem:
        """Return a black image with a box."""
        settings = self.preprocessing
        image = torch.zeros(settings.channels, settings.size, settings.size, dtype=torch.uint8)
        side = settings.size / 2
        box, label = torch.tensor([[0.0, 0.0, side, side]]), torch.tensor([0])
        # At no position of the data: maps that are kept must not be taken for those of a picture.
        mask = torch.zeros(1, settings.size, settings.size, dtype=torch.uint8)
        mask[:, :settings.size // 2, :settings.size // 2] = 1
        return BoxItem(image, box, label, 1.0, -1, mask if self.masks else None)

    def _weighted(self, network: Network, maps: Maps, images: torch.Tensor, targets: list[Target],
                  weights: torch.Tensor) -> torch.Tensor:
        """Return the sum over images of weight x loss. weights: float32 [B].

        torchvision's losses are means over a batch, in which no image can be told apart: images of one weight go
        through them together, those of another one apart.
        """
        parts = []
        for weight in weights.unique():
            rows = (weights == weight).nonzero()[:, 0]
            alike = len(rows) == len(weights)
            found = self._loss(network, maps, images, targets) if alike else self._loss(
                network, {stride: part[rows] for stride, part in maps.items()}, images[rows],
                [targets[int(row)] for row in rows])
            parts.append(weight * len(rows) * found)
        return torch.stack(parts).sum()

    def _loss(self, network: Network, maps: Maps, images: torch.Tensor, targets: list[Target]) -> torch.Tensor:
        return torch.stack(list(head_of(network).losses(maps, images, targets).values())).sum()

    def _original(self, found: Target, index: int) -> Detections:
        original = self.val_pictures.original[index]
        return to_original(found, self.preprocessing.whole_size(*original), original)


def _refuse_bare(samples: Sequence[Sample]) -> None:
    """Raise DataError where the pixels of an object are not known."""
    bare = [f"{sample.id}: {count} of {len(sample.objects or ())} objects" for sample in samples
            if (count := sum(not (one.polygons or one.rle or one.crowd) for one in sample.objects or ()))]
    if bare:
        raise DataError(f"{len(bare)} images have objects with a box and neither outline nor mask, from which masks "
                        f"can't be learned:\n{listed(bare)}\nMark them, leave these images out, or take a detector of "
                        "boxes.")


def tells_masks(model: Model) -> bool:
    """Return whether a detector learns the pixels of each object, too."""
    assert isinstance(model.head, DetectionHead), type(model.head)
    return model.head.tells_masks


def on_whole(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return uint8 [K, H, W] of [K, h, w], filled with zeros to the right and below."""
    return functional.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1]))


def head_of(network: Network) -> DetectionHead:
    """Return the network's head, which is a detector's."""
    assert isinstance(network.head, DetectionHead), type(network.head)
    return network.head
