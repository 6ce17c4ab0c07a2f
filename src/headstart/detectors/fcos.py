"""FCOS: a box at every point of the maps, by its distances to the four sides; no anchors to choose."""

from __future__ import annotations

from pydantic import Field
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import STRIDES, Pyramid


class Fcos(Detector):
    """Source: Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", ICCV 2019; torchvision's own.

    Narrow by default: on two cores of a CPU the head of the paper (width 256, 4 convolutions) would take ten times as
    long as a small backbone.
    """

    width: int = Field(64, ge=32, le=1024, multiple_of=32)
    """Channels of the pyramid and of the head."""
    convolutions: int = Field(2, ge=1, le=8)
    """Layers of the head before its answers."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head."""
        pyramid = Pyramid(channels_of(backbone), self.width, LastLevelP6P7(self.width, self.width))
        sizes = tuple((stride,) for stride in (*STRIDES, 64, 128))
        model = FCOS(pyramid, classes, anchor_generator=AnchorGenerator(sizes, ((1.0,),) * len(sizes)),
                     head=FCOSHead(self.width, 1, classes, num_convs=self.convolutions), score_thresh=self.confidence,
                     nms_thresh=self.overlap, detections_per_img=self.most)
        return TorchvisionHead(model, classes=classes, first_label=0)
