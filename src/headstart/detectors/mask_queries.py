"""MaskQueryHead: Mask2Former of transformers, which answers with a set of masks and suppresses no doubles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn import functional
from torchvision.ops import roi_align

from headstart.backbones.maps import Maps
from headstart.detectors.detector import Detector
from headstart.detectors.head import Target
from headstart.detectors.set_prediction import Levels, QueryHead

# B images, Q queries, C classes, K objects, H height and W width of the canvas

SIDE = 112
"""Of the square in which a mask is told."""
AT_ONCE = 16
"""Masks that are enlarged to the canvas at once: memory."""


class Trunk(Levels):
    """Gives the maps on as the trunk of such a model does, the finest first."""

    def forward(self, images: torch.Tensor) -> SimpleNamespace:  # type: ignore[override]
        """Return the maps [B, C, H/stride, W/stride] as the library looks for them. images: not looked at."""
        return SimpleNamespace(feature_maps=self.levels())


class MaskQueryHead(QueryHead):
    """Pixel decoder, masked attention and losses of Mask2Former as transformers has them; its trunk is a reader.

    Every object is matched to one query by its pixels and its class; a query that has none is to say so.
    """

    tells_classes = tells_nothing = re.compile(r"class_predictor\.")
    tells_masks = True

    def __init__(self, model: Any, reader: Trunk, *, classes: int, settings: Detector) -> None:
        super().__init__(classes=classes, settings=settings)
        model.model.pixel_level_module.encoder = reader
        self.model = model.eval()
        self.finest = reader.finest

    def losses(self, maps: Maps, images: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
        """Return the losses that the library names, weighted as it does, of every layer; per object of the batch."""
        answer = self._run(maps, images)
        found: dict[str, torch.Tensor] = self.model.get_loss_dict(  # type: ignore[operator]
            answer.masks_queries_logits, answer.class_queries_logits, [target["masks"].float() for target in targets],
            [target["labels"] for target in targets], answer.auxiliary_logits)
        return found

    def detect(self, maps: Maps, images: torch.Tensor) -> list[Target]:
        """Return the objects of each image: the `most` surest pairs of a query and a class, boxes around their pixels.

        As transformers' `post_process_instance_segmentation`: the score is that of the class times the mean of the
        mask over its pixels. A query without a pixel is no object.
        """
        answer = self._run(maps, images)
        scores = answer.class_queries_logits.softmax(-1)[..., :self.classes].flatten(1)
        surest, places = scores.topk(min(self.most, scores.shape[1]))
        size = (int(images.shape[-2]), int(images.shape[-1]))
        return [self._told(answer.masks_queries_logits[image], *pair, size)
                for image, pair in enumerate(zip(surest, places, strict=True))]

    def _told(self, logits: torch.Tensor, scores: torch.Tensor, places: torch.Tensor, size: tuple[int, int]) -> Target:
        """Return the objects of one image. logits: [Q, h, w]. scores, places: [K], of pairs of a query and a class."""
        parts = [_measured(logits[some], size) for some in (places // self.classes).split(AT_ONCE)]
        sureness, boxes, masks = (torch.cat(found) for found in zip(*parts, strict=True))
        scores = scores * sureness
        order = scores.argsort(descending=True, stable=True)
        order = order[scores[order] > self.confidence]
        return {"boxes": boxes[order], "labels": (places % self.classes)[order], "scores": scores[order],
                "masks": masks[order]}

    def _run(self, maps: Maps, images: torch.Tensor) -> Any:
        reader: Trunk = self.model.model.pixel_level_module.encoder  # type: ignore[union-attr, assignment]
        reader.feed({stride: found.float() for stride, found in maps.items()})
        try:
            return self.model(images, output_auxiliary_logits=True)
        finally:
            reader.feed({})


def _measured(logits: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return float32 [K] how sure each mask is of its pixels, [K, 4] the boxes around them, [K, M, M] what they hold.

    logits: [K, h, w]. size: H, W. A mask without a pixel has the sureness 0 and an empty box.
    """
    likely = functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0].sigmoid()
    held = likely > 0.5
    sureness = (likely * held).sum((1, 2)) / held.sum((1, 2)).clamp(min=1)
    (top, bottom), (left, right) = _ends(held.any(2)), _ends(held.any(1))
    boxes = torch.stack([left, top, right, bottom], 1).float()
    numbered = torch.cat([torch.arange(len(boxes), device=boxes.device)[:, None], boxes], 1)
    squares = roi_align(likely[:, None], numbered, SIDE, sampling_ratio=1, aligned=True)[:, 0]
    return sureness, boxes, squares


def _ends(held: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int64 [K], the first place in bool [K, L] that is true and the one after the last; 0 and 0 for none."""
    ends = held.shape[1] - held.flip(1).int().argmax(1)
    first = held.int().argmax(1)
    return first, torch.where(held.any(1), ends, first)
