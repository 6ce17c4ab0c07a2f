"""RetinaNet: nine anchors at every point of the maps, and a loss that looks away from the easy ones."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNet as Made
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import STRIDES, Pyramid


class RetinaNet(Detector):
    """Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; torchvision's own."""

    width: int = Field(64, ge=32, le=1024, multiple_of=32)
    """Channels of the pyramid and of the head, whose four layers it has, as in the paper."""
    anchor: float = Field(4.0, gt=0, le=64)
    """Side of a square anchor in strides; the paper's 4 expects objects from 32 pixels of the input on."""
    norm: Literal["group", "none"] = "group"
    """Normalisation in the head; the paper has none, and needs a longer training."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head."""
        pyramid = Pyramid(channels_of(backbone), self.width, LastLevelP6P7(self.width, self.width))
        sizes = tuple(tuple(int(self.anchor * stride * 2 ** (third / 3)) for third in range(3))
                      for stride in (*STRIDES, 64, 128))
        anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
        head = RetinaNetHead(self.width, anchors.num_anchors_per_location()[0], classes,
                             norm_layer=partial(nn.GroupNorm, 32) if self.norm == "group" else None)
        model = Made(pyramid, classes, anchor_generator=anchors, head=head, score_thresh=self.confidence,
                     nms_thresh=self.overlap, detections_per_img=self.most)
        return TorchvisionHead(model, classes=classes, first_label=0)
