"""SetPredictionHead: a detector of transformers, which answers with a set of boxes and suppresses no doubles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torchvision.ops import box_convert

from headstart.backbones.maps import Maps, at_stride
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, Target
from headstart.detectors.pyramid import Reader
from headstart.errors import ConfigError

# B images, Q queries, C classes, K boxes

DENOISING = "model.denoising_class_embed.weight"
"""A row for each class, and one after them for what is no box."""


class Levels(Reader):
    """Gives the maps on as the trunk of such a detector does, the finest first, each with the mask that came."""

    def __init__(self, sources: Mapping[int, int], width: int) -> None:
        """Set of which map, by its stride, the one of each stride is made."""
        super().__init__(width)
        self.sources = dict(sources)
        self.finest = min(self.sources.values())

    def forward(self, images: torch.Tensor, mask: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the maps [B, C, H/stride, W/stride]. images: not looked at; mask: nor is it by what comes next."""
        return [(found, mask) for found in self.levels()]

    def levels(self) -> list[torch.Tensor]:
        """Return the maps alone."""
        return [at_stride(self._maps, stride, source) for stride, source in sorted(self.sources.items())]


class QueryHead(DetectionHead):
    """What the heads of queries have in common: each object has one, so that no doubles are suppressed.

    Some tensors have a row after those of the classes, for what is none.
    """

    tells_nothing: ClassVar[re.Pattern[str]]
    """Names of these tensors."""

    def __init__(self, *, classes: int, settings: Detector) -> None:
        super().__init__()
        self.classes = classes
        self.confidence, self.most = settings.confidence, settings.most
        if settings.overlap != Detector.model_fields["overlap"].default:
            raise ConfigError(f"detector {settings.part_name}: overlap would have no effect: it suppresses no boxes. "
                              "Leave it out.")

    def take_over(self, other: DetectionHead, pairs: Sequence[tuple[int, int]]) -> None:
        """Take the tensors of another head, and also what stands for no object."""
        super().take_over(other, pairs)
        mine, theirs = self.model.state_dict(), other.model.state_dict()
        for name in filter(self.tells_nothing.search, mine):
            if name in theirs and mine[name].shape[1:] == theirs[name].shape[1:]:
                mine[name][-1] = theirs[name][-1]

    def _by_class(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor[None, :self.classes]


class SetPredictionHead(QueryHead):
    """Encoder, decoder and losses of RT-DETR, RT-DETRv2 or D-FINE as transformers has them; its `backbone` is a reader.

    Every object is matched to one query (Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020); in
    training mode noisy copies of the boxes are to be mended, too (Li et al., "DN-DETR", CVPR 2022).
    The canvas around a picture is not masked: these models know no mask, and learn that there is nothing on it.
    """

    tells_classes = re.compile(r"(class_embed|enc_score_head)\.")
    tells_nothing = re.compile(re.escape(DENOISING))

    def __init__(self, model: Any, reader: Levels, *, classes: int, settings: Detector) -> None:
        super().__init__(classes=classes, settings=settings)
        model.model.backbone = reader
        self.model = model
        self.finest = reader.finest
        self.queries = int(model.config.num_queries)

    @property
    def reader(self) -> Levels:
        """What reads the backbone's maps."""
        found = self.model.model.backbone  # type: ignore[union-attr]
        assert isinstance(found, Levels), type(found)
        return found

    def losses(self, maps: Maps, images: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
        """Return the losses that the library names, weighted as it does, of every layer; per object of the batch."""
        height, width = images.shape[-2:]
        sides = torch.tensor([width, height, width, height], device=images.device)
        labels = [{"class_labels": target["labels"],
                   "boxes": box_convert(target["boxes"], "xyxy", "cxcywh") / sides} for target in targets]
        try:
            found: dict[str, torch.Tensor] = self._run(maps, images, labels).loss_dict
        except ValueError:
            # The library refuses to match boxes that are NaN; the learner knows what to do with such a loss.
            if all(torch.isfinite(parameter).all() for parameter in self.parameters()) and all(
                    torch.isfinite(one).all() for one in maps.values()):
                raise
            return {"loss": torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * float("nan")}
        return found

    def detect(self, maps: Maps, images: torch.Tensor) -> list[Target]:
        """Return the boxes of each image: the `most` surest pairs of a query and a class, cut at the canvas.

        As transformers' `post_process_object_detection`, which does not cut.
        """
        height, width = images.shape[-2:]
        sides = torch.tensor([width, height, width, height], device=images.device)
        answer = self._run(maps, images, None)
        boxes = box_convert(answer.pred_boxes, "cxcywh", "xyxy").clamp(0, 1) * sides
        boxes = torch.cat([boxes[..., :2], torch.maximum(boxes[..., :2], boxes[..., 2:])], -1)
        flat = answer.logits.sigmoid().flatten(1)
        scores, places = flat.topk(min(self.most, flat.shape[1]))
        found = []
        for image, (surest, place) in enumerate(zip(scores, places, strict=True)):
            place = place[surest > self.confidence]
            found.append({"boxes": boxes[image, place // self.classes], "labels": place % self.classes,
                          "scores": surest[:len(place)]})
        return found

    def _run(self, maps: Maps, images: torch.Tensor, labels: list[dict[str, torch.Tensor]] | None) -> Any:
        reader = self.reader
        reader.feed({stride: found.float() for stride, found in maps.items()})
        try:
            # A small picture has fewer cells than there are queries, which are chosen among them.
            cells = sum(level[0, 0].numel() for level in reader.levels())
            self.model.config.num_queries = min(self.queries, cells)  # type: ignore[union-attr]
            return self.model(images, labels=labels)
        finally:
            reader.feed({})
