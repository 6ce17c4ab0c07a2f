"""UPerNet: pooling at four scales on the coarsest map, then a feature pyramid."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import STRIDES, SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Upernet(Segmenter):
    """Source: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018; the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the decoder."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        build = library().upernet.decoder.UPerNetDecoder
        decoder, sources = decoder_of(build, backbone, strides=STRIDES[1:], decoder_channels=self.width)
        return SegmentationHead(decoder, sources, width=self.width, classes=classes, kernel=1)
