"""U-Net++: U-Net with nested blocks between the backbone's maps and the decoder's."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import SegmentationHead, halving_head, library
from headstart.segmenters.segmenter import Segmenter


class Unetplusplus(Segmenter):
    """Source: Zhou et al., "UNet++", DLMIA 2018; the decoder is the library's."""

    width: int = Field(128, ge=16, le=1024, multiple_of=16)
    """Channels of the coarsest block of the decoder; each finer one has half as many, 16 at least."""

    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head."""
        return halving_head(library().unetplusplus.decoder.UnetPlusPlusDecoder, backbone, classes, self.width)
