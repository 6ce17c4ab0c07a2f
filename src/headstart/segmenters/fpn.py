"""FPN: a feature pyramid whose maps are added up at a quarter of the input's resolution."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import STRIDES, SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Fpn(Segmenter):
    """Source: Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019; the decoder is the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the decoder."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Chance that a channel is left out before the last layer."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        build = library().fpn.decoder.FPNDecoder
        decoder, sources = decoder_of(build, backbone, strides=STRIDES[1:], pyramid_channels=self.width,
                                      segmentation_channels=self.width // 2, dropout=self.dropout)
        return SegmentationHead(decoder, sources, width=self.width // 2, classes=classes, kernel=1)
