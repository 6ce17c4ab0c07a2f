"""DeepLabV3+: convolutions with holes on the coarsest map, and the edges from a fine one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Deeplabv3plus(Segmenter):
    """Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution", ECCV 2018; the library's decoder.

    The paper widens the backbone's last stage, so that its map has stride 16. Not every backbone can be widened: its
    map of stride 32 is brought to 16 by interpolation instead.
    """

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the decoder."""
    rates: tuple[int, int, int] = (6, 12, 18)
    """How far apart, in cells of stride 16, the points are that a convolution looks at; the paper's."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        build = library().deeplabv3.decoder.DeepLabV3PlusDecoder
        decoder, sources = decoder_of(build, backbone, strides=(4, 32), encoder_depth=5, out_channels=self.width,
                                      atrous_rates=self.rates, output_stride=16, aspp_separable=True, aspp_dropout=0.5)
        return SegmentationHead(_Finer(decoder), sources, width=self.width, classes=classes, kernel=1)


class _Finer(nn.Module):
    """The decoder, its coarsest map brought to stride 16."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return [B, width, H/4, W/4]."""
        last = functional.interpolate(features[-1], scale_factor=2, mode="bilinear", align_corners=False)
        return self.decoder([*features[:-1], last])  # type: ignore[no-any-return]
