"""torchvision: the heads that came with a backbone of one of torchvision's published detectors."""

from __future__ import annotations

from headstart.backbones.backbone import Backbone
from headstart.backbones.torchvision_detectors_backbone import TorchvisionDetectorBackbone
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import AsTheyAre
from headstart.errors import ConfigError


class Torchvision(Detector):
    """Faster R-CNN, Mask R-CNN, RetinaNet, FCOS or SSDlite just as torchvision builds it, so that its weights fit."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return fresh heads. Raises ConfigError for any other backbone."""
        if not isinstance(backbone, TorchvisionDetectorBackbone):
            raise ConfigError(f"detector torchvision: {backbone.spec.architecture} brings no heads of torchvision's. "
                              "Leave detector out, or take a backbone such as torchvision/fcos_resnet50_fpn.")
        model = backbone.rest(classes, confidence=self.confidence, overlap=self.overlap, most=self.most)
        model.backbone = AsTheyAre(backbone.width, backbone.map_names)
        return TorchvisionHead(model, classes=classes, first_label=backbone.first_label)
