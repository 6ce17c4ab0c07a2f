"""PSPNet: the coarsest map, pooled at four scales; fast, and coarse at edges."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import STRIDES, SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Pspnet(Segmenter):
    """Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017; the decoder is the library's."""

    width: int = Field(256, ge=16, le=1024, multiple_of=16)
    """Channels of the decoder."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Chance that a channel is left out before the last layer."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        build = library().pspnet.decoder.PSPDecoder
        decoder, sources = decoder_of(build, backbone, strides=STRIDES[-1:], out_channels=self.width,
                                      dropout=self.dropout)
        return SegmentationHead(decoder, sources, width=self.width, classes=classes, kernel=3)
