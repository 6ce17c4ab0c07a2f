"""yolox: the detectors of YOLOX, as `yolox_s@yolox_s.pth`; their weights come from a file only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.backbones import records
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError, ResourceError, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone


class Yolox(Source):
    """YOLOX from Nano to X. Source: Ge et al., arXiv 2107.08430; the release is Megvii's."""

    def specs(self) -> list[BackboneSpec]:
        """Return the record of each size."""
        return records.specs("yolox")

    def refuse_absent(self, spec: BackboneSpec) -> None:
        """Raise ResourceError: they come from a file only."""
        raise ResourceError(f"its weights come from a file: fetch {spec.weights} from the release of YOLOX, or take "
                            f"one of your own, and name it after an @, as {spec.architecture}@{spec.weights}.")

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the trunk with fresh weights. Raises ResourceError for pretrained ones, which no hub has."""
        rows = {row["architecture"]: row for row in records.table("yolox")}
        spec = self.find(architecture)
        if spec is None:
            raise ConfigError(f'there is no YOLOX "{architecture}".' + nearest(architecture, list(rows)))
        if pretrained:
            self.refuse_absent(spec)
        from headstart.backbones.yolox_backbone import YoloxBackbone
        from headstart.backbones.yolox_network import Scaling

        return YoloxBackbone(Scaling(**rows[architecture]["scaling"]), spec, channels=channels)
