"""Mask2Former: a set of queries that look at what they took for the object so far, and answer with its pixels."""

from __future__ import annotations

from pydantic import Field

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of, nearest
from headstart.backbones.transformers_library import library, quiet
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead
from headstart.detectors.mask_queries import MaskQueryHead, Trunk

STRIDES = (4, 8, 16, 32)
"""Of the maps that are read; the finest one only for the edges of masks."""
HEAD_WIDTH = 32
"""Channels of each head of attention, as in the paper."""


class Mask2Former(Detector):
    """Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022;
    transformers' own.

    The paper has width 256, 100 queries, 6 layers of the encoder and 9 of the decoder, and starts from a trained trunk
    alone, with a hundred thousand pictures: a fresh one learns slower than `mask_rcnn`.
    """

    width: int = Field(128, ge=32, le=1024, multiple_of=HEAD_WIDTH)
    """Channels of encoder and decoder."""
    queries: int = Field(50, ge=1, le=2000)
    """Objects that are looked for in an image."""
    encoder_layers: int = Field(2, ge=1, le=12)
    """In which the maps look at each other."""
    layers: int = Field(3, ge=1, le=12)
    """Of the decoder."""
    points: int = Field(3136, ge=16, le=100_000)
    """Pixels of each mask whose loss is taken, three quarters of them where it is least sure; the paper has 12,544."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head. Raises ResourceError where transformers is not here."""
        channels = channels_of(backbone)
        sources = {stride: nearest(stride, channels) for stride in STRIDES}
        transformers = library()
        with quiet():  # it says that such a trunk was never tried
            model = transformers.Mask2FormerForUniversalSegmentation(transformers.Mask2FormerConfig(
                # The library builds no model without a trunk: a small one, which is thrown away.
                backbone_config={"model_type": "resnet", "layer_type": "basic", "embedding_size": 8, "depths": [1] * 4,
                                 "hidden_sizes": [channels[source] for source in sources.values()],
                                 "out_features": ["stage1", "stage2", "stage3", "stage4"]},
                feature_size=self.width, mask_feature_size=self.width, hidden_dim=self.width, num_labels=classes,
                encoder_feedforward_dim=4 * self.width, dim_feedforward=8 * self.width,
                encoder_layers=self.encoder_layers, decoder_layers=self.layers + 1, feature_strides=STRIDES,
                num_attention_heads=self.width // HEAD_WIDTH, num_queries=self.queries, train_num_points=self.points))
        return MaskQueryHead(model, Trunk(sources, self.width), classes=classes, settings=self)
