"""YoloxBackbone: the trunk of a YOLOX; a file of weights brings pyramid, head and classes along."""

from __future__ import annotations

import torch
from torch import nn

from headstart.backbones.backbone import BackboneSpec
from headstart.backbones.channels import adapt_kernel
from headstart.backbones.coco import CLASSES
from headstart.backbones.detector_backbone import Brought, DetectorBackbone, nameless
from headstart.backbones.state_dicts import Tensors, compare
from headstart.backbones.yolox_layers import QUARTERS
from headstart.backbones.yolox_network import Reading, Scaling, Trunk
from headstart.errors import ConfigError

# B images, C channels of a map, H and W pixels

TRUNK = "backbone.backbone."
"""Prefix of the trunk's names in a file of the release."""
STEM = TRUNK + "stem.conv.conv.weight"
ROWS = "head.cls_preds.0.bias"
"""Has an element for each class."""


class YoloxBackbone(DetectorBackbone):
    """CSPDarknet, on RGB images of 0 to 255."""

    model: Trunk

    def __init__(self, scaling: Scaling, spec: BackboneSpec, *, channels: int) -> None:
        super().__init__()
        self.scaling = scaling
        self.spec = spec
        self.channels = channels
        self.model = Trunk(scaling, channels)
        self.width = scaling.channels[-1]

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, C, H/stride, W/stride]}, strides 2 to 32."""
        found: dict[int, torch.Tensor] = self.model(images)
        return found

    def stages(self) -> list[nn.Module]:
        """Return the stem and the four blocks."""
        return [self.model.stem, self.model.dark2, self.model.dark3, self.model.dark4, self.model.dark5]

    def take(self, tensors: Tensors, *, label: str) -> None:
        """Load the tensors of a whole YOLOX of the same size, of any number of classes."""
        if ROWS not in tensors:
            raise ConfigError(f"{label}: no {ROWS} among its tensors, so that it is no YOLOX. Name the detector that "
                              "the file was made with; `headstart models detector` lists them.")
        classes = len(tensors[ROWS])
        with torch.device("meta"):
            trunk = Trunk(self.scaling, 3).state_dict()
            expected = Reading(self.scaling.channels, self.scaling, classes).state_dict()
        fit = compare({TRUNK + key: tensor for key, tensor in trunk.items()} | expected, tensors)
        if not fit.exact:
            raise ConfigError(f"{label}: the tensors do not fit.\n{fit.report()}\n"
                              "Name the YOLOX that the file was made with, such as yolox_tiny.")
        # A file may lack the counts of BatchNorm, which say nothing here.
        tensors = {key: torch.tensor(0) for key in expected if key.endswith("num_batches_tracked")} | tensors
        own = {key.removeprefix(TRUNK): tensor for key, tensor in tensors.items() if key.startswith(TRUNK)}
        own[STEM.removeprefix(TRUNK)] = _rgb(tensors[STEM], self.channels)
        self.model.load_state_dict(own, strict=False)
        names = CLASSES if classes == len(CLASSES) else nameless(classes)
        self.brought = Brought(names, {key: tensors[key] for key in expected})


def _rgb(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the stem's kernel [out, 4 * channels, h, w] for RGB, or other channels, from the release's for BGR."""
    quarters = kernel.unflatten(1, (QUARTERS, 3)).flip(2)
    adapted = adapt_kernel(quarters.flatten(0, 1), channels)
    return adapted.unflatten(0, (len(kernel), QUARTERS)).flatten(1, 2)
