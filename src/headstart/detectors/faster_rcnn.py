"""Faster R-CNN: regions that may hold something are proposed first, and then told apart one by one."""

from __future__ import annotations

from pydantic import Field
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN as Made
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import regions_of


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
        regions = regions_of(channels_of(backbone), self.width)
        model = Made(
            regions.pyramid, rpn_anchor_generator=AnchorGenerator(regions.sizes, regions.ratios),
            box_roi_pool=MultiScaleRoIAlign(regions.names, output_size=regions.pooled, sampling_ratio=2),
            box_head=TwoMLPHead(self.width * regions.pooled ** 2, self.hidden),
            box_predictor=FastRCNNPredictor(self.hidden, classes + 1),
            box_score_thresh=self.confidence, box_nms_thresh=self.overlap, box_detections_per_img=self.most,
            **regions.settings(self.proposals))
        return TorchvisionHead(model, classes=classes, first_label=1)
