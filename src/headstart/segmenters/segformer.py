"""SegFormer: a linear layer for each map, brought to one resolution and put together."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import STRIDES, SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Segformer(Segmenter):
    """Source: Xie et al., "SegFormer", NeurIPS 2021; the decoder is the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the decoder."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        build = library().segformer.decoder.SegformerDecoder
        decoder, sources = decoder_of(build, backbone, strides=STRIDES[1:], segmentation_channels=self.width)
        return SegmentationHead(decoder, sources, width=self.width, classes=classes, kernel=1)
