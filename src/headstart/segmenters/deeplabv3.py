"""DeepLabV3: convolutions with holes on the coarsest map alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of, nearest
from headstart.segmenters.head import SegmentationHead
from headstart.segmenters.segmenter import Segmenter

WIDTH = 256
"""Channels of torchvision's decoder."""


class Deeplabv3(Segmenter):
    """Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017; torchvision's own.

    The paper widens the backbone's last stages, so that the map has stride 8 or 16. Not every backbone can be widened:
    its map of stride 32 is brought to 16 by interpolation instead.
    """

    rates: tuple[int, int, int] = Field((6, 12, 18))
    """How far apart, in cells of stride 16, the points are that a convolution looks at; the paper's for stride 16."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        channels = channels_of(backbone)
        source = nearest(32, channels)
        # The last layer of torchvision's is the one that tells classes, of which there is one already.
        decoder = nn.Sequential(*list(DeepLabHead(channels[source], classes, self.rates))[:-1])
        return SegmentationHead(_Coarsest(decoder), {32: source}, width=WIDTH, classes=classes, kernel=1)


class _Coarsest(nn.Module):
    """The decoder on the coarsest map, brought to stride 16."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return [B, WIDTH, H/16, W/16]."""
        found: torch.Tensor = self.decoder(functional.interpolate(features[-1], scale_factor=2, mode="bilinear",
                                                                  align_corners=False))
        return found
