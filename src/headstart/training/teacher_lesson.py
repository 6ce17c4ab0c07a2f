"""TeacherLesson: a segmenter learns from the source's masks and from what a mean of its weights says of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from headstart.training.lesson import Share
from headstart.training.mask_lesson import MaskBatch, MaskLesson
from headstart.training.mask_pictures import MaskItem
from headstart.training.network import Network
from headstart.training.taught_lesson import TaughtLesson, ramp
from headstart.training.teacher_pictures import TaughtItem, TaughtMasks
from headstart.types import IGNORED, Batch

# B images in a batch, C classes, H and W pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtBatch(MaskBatch):
    """A batch of the source with as many images of the target."""

    plain: torch.Tensor
    """float32 [B, channels, H, W], for the teacher."""
    shown: torch.Tensor
    """float32 [B, channels, H, W], for the student."""
    laid: torch.Tensor
    """int64 [B, H, W], the classes of what the source laid on `shown`, IGNORED elsewhere."""
    inside: torch.Tensor
    """bool [B, H, W], where there is a picture on the canvas."""


class TeacherLesson(TaughtLesson, MaskLesson):
    """The source's loss plus the cross-entropy on the target, where what the source laid on it has its true classes and
    the rest the teacher's answers.
    """

    train_type = TaughtMasks  # type: ignore[assignment]

    def batch(self, items: Sequence[MaskItem]) -> MaskBatch:
        """Return the images of both domains, each on one canvas, on the device; a batch of validation is one as always.
        """
        found = super().batch(items)
        pairs = [item for item in items if isinstance(item, TaughtItem)]
        if not pairs:
            return found
        plain, shown = (self._canvas([getattr(pair, name) for pair in pairs]) for name in ("plain", "shown"))
        inside = torch.zeros(len(pairs), *plain.shape[-2:], dtype=torch.bool, device=plain.device)
        laid = torch.full(inside.shape, IGNORED, device=plain.device)
        for row, pair in enumerate(pairs):
            high, wide = pair.laid.shape
            inside[row, :high, :wide], laid[row, :high, :wide] = True, pair.laid.to(plain.device)
        return TaughtBatch(found.images, found.targets, found.weights, found.indices, found.sizes, plain=plain,
                           shown=shown, laid=laid, inside=inside)

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch, of the source's loss and of the target's."""
        assert isinstance(batch, TaughtBatch), type(batch)
        share = super().backward(network, prepared, batch, rows)
        inside = batch.inside[rows]
        with torch.no_grad():
            labels, weights = taught(self._told(self._teacher, batch.plain[rows]), batch.laid[rows], inside,
                                     threshold=self.plan.threshold)
        # A decoder's BatchNorm moves with these images too, unlike that of a detector, for they are of both domains: at
        # dusk a U-Net whose statistics were the source's alone lost 0.02 of mean IoU, and won nothing on the source.
        losses = weights * functional.cross_entropy(self._told(network, batch.shown[rows]), labels, reduction="none")
        means = losses.sum(dim=(1, 2)) / inside.sum(dim=(1, 2))
        loss = self.plan.strength * ramp(self.progress) * means.sum() / len(batch.targets)
        loss.backward()
        return Share(share.loss + float(loss.detach()), share.shown, share.weight)

    def _black(self) -> TaughtItem:
        """Return a black image of both domains."""
        item = super()._black()
        return TaughtItem(item.image, item.classes, item.weight, item.index, item.image, item.image, item.classes)

    def _told(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Return float32 logits [B, C, H, W]."""
        with self.autocast():
            logits: torch.Tensor = network.head(network.backbone.maps(images), images)  # type: ignore[operator, union-attr]
        return logits.float()


def taught(logits: torch.Tensor, laid: torch.Tensor, inside: torch.Tensor, *,
           threshold: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the classes of a mixed image, int64 [B, H, W], and what each pixel weighs, float32 [B, H, W].

    What was laid on the target has its true class and weighs 1. All else has the teacher's likeliest class and weighs
    the share of the image of which the teacher is sure: were unsure pixels left out, the classes that it is seldom sure
    of would be taught as none, and the others would take their pixels. Outside the picture nothing weighs anything.
    logits: float32 [B, C, H, W], of the target's image as it is. laid: int64 [B, H, W], IGNORED where nothing was laid.
    inside: bool [B, H, W]. threshold: least probability of a sure answer.
    Source: Tranheden et al., "DACS", WACV 2021; there the share is that of a batch, here of each image.
    """
    confidence, answers = logits.softmax(dim=1).max(dim=1)
    shares = (inside & (confidence >= threshold)).sum(dim=(1, 2)) / inside.sum(dim=(1, 2))
    true = laid != IGNORED
    return laid.where(true, answers), inside * torch.ones_like(confidence).where(true, shares[:, None, None])
