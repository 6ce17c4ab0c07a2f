"""RT-DETR: a set of queries that look at all maps and answer with a box each; nothing is suppressed afterwards."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.backbones.transformers_library import whole
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead
from headstart.detectors.pyramid import STRIDES, sources_of
from headstart.detectors.set_prediction import Levels, SetPredictionHead

TRUNK = {"model_type": "rt_detr_resnet", "layer_type": "basic", "embedding_size": 8, "hidden_sizes": [8] * 4,
         "depths": [1] * 4, "out_indices": [2, 3, 4]}
"""The library builds no model without a trunk: a tiny one, which is thrown away."""
HEAD_WIDTH = 32
"""Channels of each head of attention, as in the paper."""


class RtDetr(Detector):
    """Source: Zhao et al., "DETRs Beat YOLOs on Real-time Object Detection", CVPR 2024; transformers' own.

    The paper has width 256, 300 queries and 6 layers (3 on its smallest trunk), and starts from a trained trunk alone,
    with some hundred thousand pictures: a fresh one learns slower than heads with anchors or points.
    """

    width: int = Field(128, ge=32, le=1024, multiple_of=HEAD_WIDTH)
    """Channels of encoder and decoder."""
    queries: int = Field(100, ge=1, le=2000)
    """Boxes that are looked for in an image."""
    layers: int = Field(3, ge=1, le=12)
    """Of the decoder."""
    denoising: int = Field(100, ge=0, le=2000)
    """Noisy copies of the true boxes in training, about; 0 for none."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head. Raises ResourceError where transformers is not here."""
        channels, heads = channels_of(backbone), self.width // HEAD_WIDTH
        sources, wide = sources_of(channels), [self.width] * len(STRIDES)
        model = whole({
            "model_type": "rt_detr", "backbone_config": TRUNK, "d_model": self.width, "encoder_hidden_dim": self.width,
            "encoder_in_channels": [channels[source] for source in sources.values()], "decoder_in_channels": wide,
            "encoder_ffn_dim": 4 * self.width, "decoder_ffn_dim": 4 * self.width, "encoder_attention_heads": heads,
            "decoder_attention_heads": heads, "hidden_expansion": 0.5, "num_queries": self.queries,
            "decoder_layers": self.layers, "num_denoising": self.denoising}, classes=classes)
        model.model.encoder_input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels[source], self.width, 1, bias=False), nn.BatchNorm2d(self.width))
            for source in sources.values())
        return SetPredictionHead(model, Levels(sources, self.width), classes=classes, settings=self)
