"""U-Net: from coarse to fine, each block with the backbone's map of its scale beside."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import SegmentationHead, halving_head, library
from headstart.segmenters.segmenter import Segmenter


class Unet(Segmenter):
    """Source: Ronneberger et al., "U-Net", MICCAI 2015; the decoder is the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the coarsest block of the decoder; each finer one has half as many, 16 at least."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        return halving_head(library().unet.decoder.UnetDecoder, backbone, classes, self.width)
