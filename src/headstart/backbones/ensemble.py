"""ensemble: several trained copies of one architecture, side by side, as `3*efficientnet_lite0`; `--folds` makes them.

There are no pretrained weights for such a name: it stands in the record of a saved model, which is rebuilt by it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

NAME = re.compile(r"([1-9]\d*)\*(.+)")


class Ensemble(Source):
    """Members that see the same picture; their pooled vectors stand one after the other."""

    def specs(self) -> list[BackboneSpec]:
        """Return nothing: ensembles are made by runs."""
        return []

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record of `COUNT*NAME`; None for another name."""
        parts = NAME.fullmatch(architecture)
        if parts is None:
            return None
        from headstart.backbones import resolve

        return described(resolve.find(parts[2]), int(parts[1]))

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the members with fresh weights, to be filled with saved ones. Raises ConfigError for `pretrained`."""
        parts = NAME.fullmatch(architecture)
        if parts is None or pretrained:
            raise ConfigError(f'"{architecture}": an ensemble has no pretrained weights. `headstart adapt DATA --folds '
                              "K` makes one; start from it with --init-from RUN.")
        from headstart.backbones import resolve
        from headstart.backbones.ensemble_backbone import EnsembleBackbone

        base = resolve.find(parts[2])
        source = resolve.named_source(base.source)
        members = [source.build(parts[2], channels=channels, pretrained=False) for _ in range(int(parts[1]))]
        return EnsembleBackbone(members, described(base, len(members)))


def described(base: BackboneSpec, count: int) -> BackboneSpec:
    """Return the record of `count` copies of `base`."""
    def times(number: float | None) -> float | None:
        return None if number is None else count * number

    return base.model_copy(update={
        "architecture": f"{count}*{base.architecture}", "source": "ensemble", "parameters": times(base.parameters),
        "gmacs": times(base.gmacs), "top1": None, "top1_size": None, "availability": "here", "hint": "",
        "weights_sha256": None})
