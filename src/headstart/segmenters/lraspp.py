"""LR-ASPP: the coarsest map weighed by its own mean, and a finer one beside it: the lightest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.lraspp import LRASPPHead

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of, nearest
from headstart.segmenters.head import SegmentationHead
from headstart.segmenters.segmenter import Segmenter


class Lraspp(Segmenter):
    """Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4; torchvision's decoder."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the coarsest map."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        channels = channels_of(backbone)
        sources = {stride: nearest(stride, channels) for stride in (8, 32)}
        low, high = (channels[source] for source in sources.values())
        decoder = _Both(LRASPPHead(low, high, classes, self.width))
        return SegmentationHead(decoder, sources, width=self.width + low, classes=classes, kernel=1)


class _Both(nn.Module):
    """Both maps, one behind the other: a layer on them is the sum of the paper's two, one on each."""

    def __init__(self, head: LRASPPHead) -> None:
        super().__init__()
        self.cbr, self.scale = head.cbr, head.scale

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return [B, width + channels of stride 8, H/8, W/8]."""
        low, high = features[3], features[5]
        weighed = functional.interpolate(self.cbr(high) * self.scale(high), size=low.shape[-2:], mode="bilinear",
                                         align_corners=False)
        return torch.cat([weighed, low], dim=1)
