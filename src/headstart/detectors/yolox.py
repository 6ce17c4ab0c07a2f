"""YOLOX: a box at every cell, no anchors, and cells that are given to objects by what the network believes itself."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import torch
from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps, at_stride, channels_of
from headstart.backbones.yolox_backbone import YoloxBackbone
from headstart.backbones.yolox_network import Reading, Scaling
from headstart.detectors import simota
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, Target
from headstart.detectors.pyramid import sources_of
from headstart.errors import ConfigError

ELSEWHERE = Scaling(depth=1 / 3, width=0.25)
"""Of pyramid and head on another backbone than YOLOX's own, where nothing is set: what two cores can train."""


class Yolox(Detector):
    """Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430; written from the paper.

    On the trunk of a YOLOX, `depth`, `width` and `separable` are those of the trunk; elsewhere 1/3, 0.25 and false.
    """

    confidence: float = Field(0.01, gt=0, lt=1)
    """Boxes with a lower score are not told; a score is the product of two, for an object and for the class."""
    overlap: float = Field(0.65, gt=0, lt=1)
    """Of two boxes of a class with a larger intersection over union, the surer one stays (non-maximum suppression)."""
    width: float | None = Field(None, ge=0.0625, le=2)
    """Width of pyramid and head; 1 is 256 channels in the head, and 256, 512 and 1024 in the pyramid."""
    depth: float | None = Field(None, gt=0, le=4)
    """Depth of the pyramid; 1 is three bottlenecks in each block."""
    separable: bool | None = None
    """Whether larger convolutions are made in two steps, channel by channel and point by point."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head. Raises ConfigError for settings that follow from a YOLOX trunk."""
        sources = sources_of(channels := channels_of(backbone))
        reading = Reading([channels[source] for source in sources.values()], self._scaling(backbone), classes)
        return YoloxHead(reading, self, sources=sources, classes=classes)

    def _scaling(self, backbone: Backbone) -> Scaling:
        given = {name: value for name in ("depth", "width", "separable")
                 if (value := getattr(self, name)) is not None}
        if not isinstance(backbone, YoloxBackbone):
            return dataclasses.replace(ELSEWHERE, **given)
        if given:
            raise ConfigError(f"detector yolox: {', '.join(given)}: on the trunk of {backbone.spec.architecture} this "
                              "is as it is there. Leave it out, or choose another backbone.")
        return backbone.scaling


class YoloxHead(DetectionHead):
    """Pyramid, decoupled head, assignment, losses and choice of boxes."""

    tells_classes = re.compile(r"head\.cls_preds\.")
    model: Reading

    def __init__(self, model: Reading, settings: Yolox, *, sources: dict[int, int], classes: int) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.sources = sources
        self.classes = classes
        self.finest = min(sources.values())

    def forward(self, maps: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        """Return answers float32 [B, cells, 5 + classes] and where the cells are, as `Reading` does."""
        found: tuple[torch.Tensor, torch.Tensor] = self.model(
            [at_stride(maps, stride, source).float() for stride, source in self.sources.items()])
        return found

    def losses(self, maps: Maps, images: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
        """Return the losses of boxes, objects and classes."""
        answers, cells = self(maps)
        return simota.losses(answers, cells, targets)

    def detect(self, maps: Maps, images: torch.Tensor) -> list[Target]:
        """Return the boxes of each image."""
        answers, cells = self(maps)
        return simota.choose(answers, cells, confidence=self.settings.confidence, overlap=self.settings.overlap,
                             most=self.settings.most, size=(int(images.shape[-2]), int(images.shape[-1])))
