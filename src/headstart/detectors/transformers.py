"""transformers: encoder and decoder that came with the trunk of one of transformers' published detectors."""

from __future__ import annotations

from headstart.backbones.backbone import Backbone
from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead
from headstart.detectors.mask_queries import MaskQueryHead, Trunk
from headstart.detectors.set_prediction import Levels, SetPredictionHead
from headstart.errors import ConfigError


class Transformers(Detector):
    """RT-DETR, RT-DETRv2, D-FINE or Mask2Former just as transformers builds it, so that published weights fit."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head. Raises ConfigError for any other backbone."""
        if not isinstance(backbone, TransformersDetectorBackbone):
            raise ConfigError(f"detector transformers: {backbone.spec.architecture} brings no heads of transformers'. "
                              "Take rt_detr, or a backbone such as transformers/PekingU/rtdetr_r18vd.")
        sources, model = {stride: stride for stride in backbone.strides}, backbone.rest(classes)
        if backbone.tells_masks:
            return MaskQueryHead(model, Trunk(sources, backbone.width), classes=classes, settings=self)
        return SetPredictionHead(model, Levels(sources, backbone.width), classes=classes, settings=self)
