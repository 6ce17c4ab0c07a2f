"""torchvision: its classification models, as `torchvision/resnet50` or `torchvision/resnet50.IMAGENET1K_V1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.backbones import hub, records
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone


class Torchvision(Source):
    """Every classification weights enum of torchvision; without a member's name, its default."""

    def specs(self) -> list[BackboneSpec]:
        """Return the record of each member of each enum."""
        return [hub.torch_looked_up(spec, row["file"])
                for spec, row in zip(records.specs("torchvision"), records.table("torchvision"), strict=True)]

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record; the default weights may be named in full as well."""
        row = _row(architecture)
        return super().find(row["architecture"]) if row else None

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the model; with weights from torch's cache, or downloaded where that is allowed."""
        from headstart.backbones.torchvision_backbone import TorchvisionBackbone, create

        row, spec = _row(architecture), self.find(architecture)
        if row is None or spec is None:
            raise ConfigError(f'torchvision has no "{architecture}".'
                              + nearest(architecture, [r["architecture"] for r in records.table("torchvision")]))
        model = create(row["library_name"], row["member"], channels=channels, pretrained=pretrained)
        return TorchvisionBackbone(model, spec)


def _row(architecture: str) -> dict[str, Any] | None:
    """Return the row of `torchvision/NAME` or `torchvision/NAME.MEMBER`."""
    return next((row for row in records.table("torchvision") if architecture in (
        row["architecture"], f"torchvision/{row['library_name']}.{row['member']}")), None)
