"""BoxTeacherLesson: a detector learns from the source's boxes and from those that a mean of its weights is sure of on
the target.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.data.augment_boxes import LEAST_SIDE
from headstart.data.transforms import to_tensor
from headstart.detectors.head import Target
from headstart.domains.judging import even_rows
from headstart.errors import ConfigError
from headstart.events import Note
from headstart.model import Model
from headstart.training.box_lesson import BoxBatch, BoxLesson, tells_masks
from headstart.training.box_pictures import BoxItem
from headstart.training.box_teacher_pictures import TaughtBoxes, TaughtBoxItem
from headstart.training.lesson import Share
from headstart.training.network import Network
from headstart.training.plan import Plan
from headstart.training.taught_lesson import TaughtLesson, ramp
from headstart.types import Batch

# B images in a batch, K boxes, C channels, h and w of a picture, H and W of its canvas

COUNTED = 16
"""Images of the target on which the teacher's sure boxes are counted after an epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtBoxBatch(BoxBatch):
    """A batch of the source with as many images of the target."""

    plain: torch.Tensor
    """float32 [B, C, H, W], for the teacher."""
    shown: torch.Tensor
    """float32 [B, C, H, W], for the student."""
    sizes: list[tuple[int, int]]
    """h and w of each of them."""
    mirrored: list[bool]
    """Whether left and right are exchanged for the student."""


class BoxTeacherLesson(TaughtLesson, BoxLesson):
    """The source's loss plus the detector's own on the boxes that the teacher is sure of.

    An image of which it is sure of none teaches nothing, not that there is nothing.
    Source: Liu et al., "Unbiased Teacher for Semi-Supervised Object Detection", ICLR 2021; for another domain Li et
    al., "Cross-Domain Adaptive Teacher for Object Detection", CVPR 2022, here without its adversary.
    """

    train_type = TaughtBoxes  # type: ignore[assignment]

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for a detector that learns masks, too, and as `TaughtLesson.refuse`."""
        if tells_masks(model):
            raise ConfigError(f"{plan.part_name}: teaches boxes, and this detector learns the pixels of each object, "
                              "too. Take fda, or a detector of boxes.")
        super().refuse(plan, model)

    def batch(self, items: Sequence[BoxItem]) -> BoxBatch:
        """Return the images of both domains, each on one canvas, on the device; a batch of validation is one as always.
        """
        found = super().batch(items)
        pairs = [item for item in items if isinstance(item, TaughtBoxItem)]
        if not pairs:
            return found
        plain, shown = (self._canvas([getattr(pair, name) for pair in pairs]) for name in ("plain", "shown"))
        return TaughtBoxBatch(found.images, found.targets, found.weights, found.indices, plain=plain, shown=shown,
                              sizes=[(pair.plain.shape[1], pair.plain.shape[2]) for pair in pairs],
                              mirrored=[pair.mirrored for pair in pairs])

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch, of the source's loss and of the target's."""
        assert isinstance(batch, TaughtBoxBatch), type(batch)
        share = super().backward(network, prepared, batch, rows)
        told = self._told(batch.plain[rows])
        targets = [sure(one, batch.sizes[row], threshold=self.plan.threshold, mirrored=batch.mirrored[row])
                   for one, row in zip(told, rows.tolist(), strict=True)]
        some = [place for place, target in enumerate(targets) if len(target["labels"])]
        if not some:
            return share
        images = batch.shown[rows[some]]
        # Over all images: where the teacher is sure of few, little is learned.
        weight = self.plan.strength * ramp(self.progress) * len(some) / len(batch.targets)
        with still_norms(network):
            with self.autocast():
                maps = network.backbone.maps(images)
            loss = weight * self._loss(network, maps, images, [targets[place] for place in some])
            loss.backward()  # in here, since gradient checkpointing computes once more
        return Share(share.loss + float(loss.detach()), share.shown, share.weight)

    def judged(self, answers: Sequence[tuple[list[Any], list[float]]]) -> tuple[float, float]:
        """Return what the validator says, and the mean loss on the source's validation images; count what teaches."""
        found = super().judged(answers)
        rows = even_rows(len(self.target_pictures.dataset), COUNTED).tolist()
        pictures = [to_tensor(self.target_pictures[row]) for row in rows]
        counts = [len(sure(self._told(self._canvas([one]))[0],
                           (one.shape[1], one.shape[2]), threshold=self.plan.threshold)["labels"]) for one in pictures]
        self._columns |= {"target_boxes": sum(counts) / len(counts)}
        if not self.epoch and not any(counts):
            self.context.listen(Note(
                f"{self.plan.part_name}: on {len(counts)} images of the target the start is sure of no box (score "
                f"{self.plan.threshold:g}), so that they teach nothing until it is. Fine-tune first, or set a lower "
                f"threshold.", "warning"))
        return found

    def _black(self) -> TaughtBoxItem:
        """Return a black image of both domains."""
        item = super()._black()
        return TaughtBoxItem(item.image, item.boxes, item.labels, item.weight, item.index, plain=item.image,
                             shown=item.image, mirrored=False)

    def _told(self, images: torch.Tensor) -> list[Target]:
        """Return what the teacher finds in images [B, C, H, W]."""
        teacher: Any = self._teacher
        with torch.no_grad(), self.autocast():
            maps = teacher.backbone.maps(images)
        with torch.no_grad():
            found: list[Target] = teacher.head.detect(maps, images)
        return found


@contextlib.contextmanager
def still_norms(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm use its statistics and leave them as they are.

    Batches of both domains in turn would leave statistics that are those of neither: on a dark target, the source's own
    validation lost two thirds of its average precision in five epochs.
    """
    moving = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
    for module in moving:
        module.eval()
    try:
        yield
    finally:
        for module in moving:
            module.train()


def sure(found: Target, size: tuple[int, int], *, threshold: float, mirrored: bool = False) -> Target:
    """Return `boxes` and `labels` of at least a score, cut at the picture; what is left of none is no object.

    found: as of `DetectionHead.detect`. size: h, w. mirrored: whether left and right are exchanged.
    """
    height, width = size
    (left, right), (top, bottom) = (found["boxes"][:, side::2].clamp(0, most).unbind(1)
                                    for side, most in ((0, width), (1, height)))
    kept = (found["scores"] >= threshold) & (torch.minimum(right - left, bottom - top) >= LEAST_SIDE)
    if mirrored:
        left, right = width - right, width - left
    return {"boxes": torch.stack([left, top, right, bottom], 1)[kept], "labels": found["labels"][kept]}
