"""Mask R-CNN: Faster R-CNN that also tells which pixels of a region are the object's."""

from __future__ import annotations

from pydantic import Field
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNN as Made
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import channels_of
from headstart.detectors.detector import Detector
from headstart.detectors.head import DetectionHead, TorchvisionHead
from headstart.detectors.pyramid import regions_of

POOLED = 14
"""Side of what is cut out of a map for the mask of a region; the mask has twice as many."""


class MaskRCNN(Detector):
    """Source: He et al., "Mask R-CNN", ICCV 2017; torchvision's own. Its finest map has stride 8, as `faster_rcnn` has.
    """

    width: int = Field(64, ge=16, le=1024)
    """Channels of the pyramid, and of the layers that tell masks."""
    hidden: int = Field(256, ge=16, le=8192)
    """Width of the two layers that tell a region's class."""
    proposals: int = Field(300, ge=10, le=4000)
    """Regions at most that are looked at."""
    mask_layers: int = Field(4, ge=1, le=16)
    """Layers of convolution before a mask is told."""

    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head."""
        regions = regions_of(channels_of(backbone), self.width)
        model = Made(
            regions.pyramid, rpn_anchor_generator=AnchorGenerator(regions.sizes, regions.ratios),
            box_roi_pool=MultiScaleRoIAlign(regions.names, output_size=regions.pooled, sampling_ratio=2),
            box_head=TwoMLPHead(self.width * regions.pooled ** 2, self.hidden),
            box_predictor=FastRCNNPredictor(self.hidden, classes + 1),
            mask_roi_pool=MultiScaleRoIAlign(regions.names, output_size=POOLED, sampling_ratio=2),
            mask_head=MaskRCNNHeads(self.width, (self.width,) * self.mask_layers, 1),
            mask_predictor=MaskRCNNPredictor(self.width, self.width, classes + 1),
            box_score_thresh=self.confidence, box_nms_thresh=self.overlap, box_detections_per_img=self.most,
            **regions.settings(self.proposals))
        return TorchvisionHead(model, classes=classes, first_label=1)
