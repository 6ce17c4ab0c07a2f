"""torchvision_detectors: torchvision's detectors with what they know of COCO, as `torchvision/fcos_resnet50_fpn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.backbones import hub, records
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone


class TorchvisionDetectors(Source):
    """Every detector of boxes and masks of torchvision but SSD300, whose last maps need pictures of one size."""

    def specs(self) -> list[BackboneSpec]:
        """Return the record of each detector."""
        return [hub.torch_looked_up(spec, row["file"]) for spec, row in zip(
            records.specs("torchvision_detectors"), records.table("torchvision_detectors"), strict=True)]

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return trunk and pyramid; with weights from torch's cache, or downloaded where that is allowed."""
        from headstart.backbones import torchvision_detectors_backbone as door

        row, spec = _row(architecture), self.find(architecture)
        if row is None or spec is None:
            raise ConfigError(f'torchvision has no detector "{architecture}".' + nearest(
                architecture, [r["architecture"] for r in records.table("torchvision_detectors")]))
        backbone = door.TorchvisionDetectorBackbone(row["library_name"], spec, channels=channels)
        if pretrained:
            backbone.take(door.published(row["library_name"]), label=architecture)
        return backbone


def _row(architecture: str) -> dict[str, Any] | None:
    return next((row for row in records.table("torchvision_detectors") if row["architecture"] == architecture), None)
