"""timm: PyTorch Image Models; well-known ones by their usual name, any other as `timm/NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.backbones import hub, records
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

PREFIX = "timm/"


class Timm(Source):
    """Models of timm, whose weights come from Hugging Face's hub or its cache."""

    def specs(self) -> list[BackboneSpec]:
        """Return the curated models."""
        return [_looked_up(spec) for spec in records.specs("timm")]

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record of a curated name, or of any timm model as `timm/NAME`."""
        listed = super().find(architecture)
        if listed or not architecture.startswith(PREFIX):
            return listed
        from headstart.backbones.timm_backbone import pretrained_record

        fields = pretrained_record(architecture.removeprefix(PREFIX))
        return _looked_up(BackboneSpec.model_validate({"architecture": architecture, "source": "timm"} | fields))

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the model; with weights from the hub's cache, or from the hub where that is allowed."""
        from headstart.backbones.timm_backbone import TimmBackbone, create

        spec = self.find(architecture)
        if spec is None:
            raise ConfigError(f'timm has no "{architecture}".' + nearest(architecture, _library_names()))
        if pretrained and not spec.weights:
            raise ConfigError(f"timm publishes no weights for {architecture}. Choose another backbone, "
                              f"or bring a file: {architecture}@weights.pth.")
        weights = hub.fetch(spec.weights) if pretrained else None
        name = _library_names().get(architecture, architecture.removeprefix(PREFIX))
        return TimmBackbone(create(name, channels=channels, weights=weights), spec)


def _library_names() -> dict[str, str]:
    """Return timm's own name for each curated one."""
    return {row["architecture"]: row["library_name"] for row in records.table("timm")}


def _looked_up(spec: BackboneSpec) -> BackboneSpec:
    """Return the record with its availability: in the cache of the hub, or to be downloaded."""
    return hub.looked_up(spec, hub.cached(spec.weights) if spec.weights else None,
                         hint="downloaded from the hub when it is first used")
