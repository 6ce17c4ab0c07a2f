"""U-Net: from coarse to fine, each block with the backbone's map of its scale beside."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import SegmentationHead, decoder_of, library
from headstart.segmenters.segmenter import Segmenter


class Unet(Segmenter):
    """Source: Ronneberger et al., "U-Net", MICCAI 2015; the decoder is the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the coarsest block of the decoder; each finer one has half as many."""


    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        widths = [self.width >> level for level in range(5)]
        build = library().unet.decoder.UnetDecoder
        decoder, sources = decoder_of(build, backbone, decoder_channels=widths)
        return SegmentationHead(decoder, sources, width=widths[-1], classes=classes, kernel=3)
