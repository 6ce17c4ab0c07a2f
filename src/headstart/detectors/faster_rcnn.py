"""Faster R-CNN: regions that may hold something are proposed first, and then told apart one by one."""

from __future__ import annotations

from pydantic import Field
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN as Made
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import STRIDES, Pyramid

POOLED = 7
"""Side of what is cut out of a map for a region."""


class FasterRCNN(Detector):
    """Source: Ren et al., "Faster R-CNN", NeurIPS 2015, with the pyramid of Lin et al., CVPR 2017; torchvision's own.

    Its finest map has stride 8, not 4 as in the paper: half the time, and the smallest objects are lost.
    """

    width: int = Field(64, ge=16, le=1024)
    """Channels of the pyramid."""
    hidden: int = Field(256, ge=16, le=8192)
    """Width of the two layers that tell a region's class."""
    proposals: int = Field(300, ge=10, le=4000)
    """Regions at most that are looked at."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head."""
        pyramid = Pyramid(channels_of(backbone), self.width, LastLevelMaxPool())
        sizes = tuple((4 * stride,) for stride in (*STRIDES, 64))
        names = [str(stride) for stride in STRIDES]
        model = Made(
            pyramid, rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
            box_roi_pool=MultiScaleRoIAlign(names, output_size=POOLED, sampling_ratio=2),
            box_head=TwoMLPHead(self.width * POOLED ** 2, self.hidden),
            box_predictor=FastRCNNPredictor(self.hidden, classes + 1), rpn_pre_nms_top_n_train=1000,
            rpn_pre_nms_top_n_test=1000, rpn_post_nms_top_n_train=self.proposals,
            rpn_post_nms_top_n_test=self.proposals, rpn_batch_size_per_image=128, box_batch_size_per_image=128,
            box_score_thresh=self.confidence, box_nms_thresh=self.overlap, box_detections_per_img=self.most)
        return TorchvisionHead(model, classes=classes, first_label=1)
