"""SSDlite: default boxes of several shapes on each map, told by depthwise convolutions: the cheapest head."""

from __future__ import annotations

from functools import partial

from pydantic import Field
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import STRIDES, Pyramid

LEVELS = len(STRIDES) + 2


class SSDlite(Detector):
    """Source: Liu et al., "SSD", ECCV 2016, with the head of Sandler et al., "MobileNetV2", CVPR 2018; torchvision's.

    On a pyramid, where the papers have a plain row of maps: the fine maps would know too little otherwise.
    """

    width: int = Field(96, ge=16, le=1024)
    """Channels of the pyramid."""
    smallest: float = Field(0.08, gt=0, lt=1)
    """Side of the smallest default box, as a share of the picture; the largest takes 0.95 of it."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head."""
        pyramid = Pyramid(channels_of(backbone), self.width, LastLevelP6P7(self.width, self.width))
        boxes = DefaultBoxGenerator([[2, 3]] * LEVELS, min_ratio=self.smallest, max_ratio=0.95)
        head = SSDLiteHead([self.width] * LEVELS, boxes.num_anchors_per_location(), classes + 1,
                           partial(nn.BatchNorm2d, eps=0.001, momentum=0.03))
        model = SSD(pyramid, boxes, (0, 0), classes + 1, head=head, score_thresh=self.confidence,
                    nms_thresh=self.overlap, detections_per_img=self.most)
        return TorchvisionHead(model, classes=classes, first_label=1)
