"""TorchvisionDetectorBackbone: the door to torchvision's detectors, in two parts: what makes maps, what reads them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from headstart.backbones.backbone import BackboneSpec
from headstart.backbones.detector_backbone import Brought, DetectorBackbone, nameless
from headstart.backbones.stages import cut
from headstart.backbones.state_dicts import Tensors, compare
from headstart.backbones.torchvision_backbone import reaching, with_channels
from headstart.errors import ConfigError

# B images, C channels of a map, H and W pixels

LABELS = 91
"""COCO's category numbers run to 90, with holes; torchvision's own weights have a row for each, and one for 0."""
REGIONS = ("fasterrcnn", "maskrcnn")
"""How the names of detectors begin that propose regions first."""
ZERO_EPS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
"""Their published weights were trained with an epsilon of 0 in BatchNorm, which the files don't tell."""
SIDE = 64
HOLDERS = {"body": 1, "extra": 1, "features": 2}
"""Modules that hold the blocks of a trunk -> how many names lead to one."""


class TorchvisionDetectorBackbone(DetectorBackbone):
    """Trunk and pyramid of one of torchvision's detectors."""

    def __init__(self, name: str, spec: BackboneSpec, *, channels: int) -> None:
        super().__init__()
        self.name = name
        self.spec = spec
        self.channels = channels
        self.model = with_channels(whole(name, LABELS).backbone, channels)  # type: ignore[arg-type]
        with torch.no_grad():
            found = self.model.eval()(torch.zeros(1, channels, SIDE, SIDE))
        self.map_names = tuple(found)
        self.width = int(found[self.map_names[-1]].shape[1])

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {nominal stride: [B, C, h, w]}, finest first."""
        found = list(self.model(images).values())
        finest = round(math.log2(images.shape[-1] / found[0].shape[-1]))
        return {2 ** (finest + level): one for level, one in enumerate(found)}

    def stages(self) -> list[nn.Module]:
        """Return the blocks of the trunk, what stands before the first of them, and the pyramid."""
        stage_of: dict[str, int] = {}
        numbers: dict[str, int] = {}
        for name, _ in self.model.named_parameters():
            stage_of[name] = numbers.setdefault(self._block(name), len(numbers))
        return cut(self.model, stage_of)

    def take(self, tensors: Tensors, *, label: str) -> None:
        """Load the tensors of torchvision's whole model, of any number of classes."""
        labels = _labels_in(tensors, self.name)
        model = whole(self.name, labels)
        try:
            # By the library's own loading: its older files have other names.
            model.load_state_dict(tensors)
        except RuntimeError:
            raise ConfigError(f"{label}: the tensors do not fit.\n{compare(model.state_dict(), tensors).report()}\n"
                              "Name the detector that the file was made with.") from None
        if self.name in ZERO_EPS and labels == LABELS:
            _without_epsilon(model.backbone)  # type: ignore[arg-type]
        self.model = with_channels(model.backbone, self.channels).eval()  # type: ignore[arg-type]
        rest = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("backbone.")}
        self.brought = Brought(self._names(labels), rest)

    @property
    def first_label(self) -> int:
        """The number of the first class: 1 where the library has 0 for the background."""
        return 1 if self.name.startswith((*REGIONS, "ssdlite")) else 0

    def rest(self, classes: int, *, confidence: float, overlap: float, most: int) -> nn.Module:
        """Return torchvision's model with fresh heads; its `backbone` is to be replaced by what feeds it the maps."""
        prefix = "box_" if self.name.startswith(REGIONS) else ""
        return whole(self.name, classes + self.first_label, **{
            f"{prefix}score_thresh": confidence, f"{prefix}nms_thresh": overlap,
            f"{prefix}detections_per_img": most})

    def _names(self, labels: int) -> tuple[str, ...]:
        if labels == LABELS:
            known = get_model_weights(self.name).DEFAULT.meta["categories"]
            names = tuple(f"{name} {place}" if name == "N/A" else name for place, name in enumerate(known))
        else:
            names = nameless(labels)
        return names[self.first_label:]

    def _block(self, name: str) -> str:
        """Return the block that a parameter belongs to; a stem's loose layers are one block, and so is the pyramid."""
        words = name.split(".")
        if words[0] not in HOLDERS:
            return words[0]
        block = ".".join(words[:HOLDERS[words[0]] + 1])
        return block if list(self.model.get_submodule(block).children()) else "stem"


def whole(name: str, labels: int, **settings: Any) -> nn.Module:
    """Return torchvision's detector with fresh weights; labels: with the background, where it has one."""
    model: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=labels, **settings)
    return model


def published(name: str) -> Tensors:
    """Return the library's weights, from torch's cache or downloaded. Raises ResourceError where they can't be had."""
    weights: Any = get_model_weights(name).DEFAULT
    with reaching(weights):
        return dict(weights.get_state_dict(progress=False, check_hash=True))


def _labels_in(tensors: Tensors, name: str) -> int:
    """Return for how many labels a file was made, by the rows of what tells them; LABELS where it can't be seen."""
    with torch.device("meta"):
        ours = whole(name, LABELS).state_dict()
    for key, tensor in ours.items():
        if key.endswith(("head.cls_logits.bias", "cls_score.bias", "classification_head.module_list.0.1.bias")) \
                and not key.startswith("rpn.") and key in tensors:
            found = LABELS * len(tensors[key]) / len(tensor)
            return int(found) if found == int(found) and found > 1 else LABELS
    return LABELS


def _without_epsilon(model: nn.Module) -> None:
    """Take the epsilon off the stored variances, so that dividing by sqrt(variance + eps) is as it was trained."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            layer.running_var -= layer.eps
