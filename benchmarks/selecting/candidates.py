"""The candidates of the selection benchmark: models of truly different quality, made of the packaged weights.

Whole trunks at two resolutions, trunks whose deepest stages are cut off, and trunks whose deepest stages are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import load

# B images, D features, C channels of a map, H and W pixels

SIZES = {"drawings": (64, 112), "photos": (96, 160)}
"""Pixels of the small and the large input, by kind of images: below the backbones' own, for the time of the truth."""


@dataclass(frozen=True)
class Made:
    """A candidate: a packaged trunk at one of two sizes, as it is, cut off, or partly random."""

    trunk: str
    large: bool
    kept: int | None = None
    """How many of the trunk's blocks remain; None: all."""
    random: int = 0
    """How many of its deepest stages are initialised anew."""

    def __str__(self) -> str:
        change = f" cut to {self.kept}" if self.kept else f" {self.random} random" if self.random else ""
        return f"{self.trunk}{change} {'large' if self.large else 'small'}"

    def size(self, kind: str) -> int:
        """Return the pixels of its input on images of a kind."""
        return SIZES[kind][self.large]

    def build(self, kind: str) -> Backbone:
        """Return the backbone, the same each time."""
        backbone, _ = load(self.trunk, size=self.size(kind))
        if self.kept:
            backbone = Cut(backbone, self.kept)
        if self.random:
            _forget(backbone, self.random)
        backbone.spec = backbone.spec.model_copy(update={
            "architecture": str(self), "parameters": sum(p.numel() for p in backbone.parameters()),
            "top1": None if self.kept or self.random else backbone.spec.top1})
        return backbone.eval()


WHOLE = tuple(Made(trunk, large) for trunk in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
                                               "mobilenet_v2") for large in (False, True))
CANDIDATES = (*WHOLE,
              Made("efficientnet_lite0", True, kept=5), Made("efficientnet_lite2", False, kept=4),
              Made("mobilenet_v2", True, kept=5),
              Made("efficientnet_lite0", True, random=3), Made("efficientnet_lite1", True, random=2),
              Made("mobilenet_v2", False, random=20))


class Cut(Backbone):
    """A trunk without its deepest blocks: the mean over the last map that is left."""

    def __init__(self, whole: Backbone, kept: int) -> None:
        super().__init__()
        trunk: Any = whole.model
        self.model = nn.ModuleDict({"stem": nn.Sequential(trunk.conv_stem, trunk.bn1),
                                    "blocks": nn.Sequential(*list(trunk.blocks)[:kept])})
        self.spec = whole.spec
        with torch.no_grad():
            side = self.spec.preprocessing.size
            self.width = self.eval()._map(torch.zeros(1, 3, side, side)).shape[1]

    def _map(self, images: torch.Tensor) -> torch.Tensor:
        parts: Any = self.model
        return parts["blocks"](parts["stem"](images))

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        return self._map(images).mean((2, 3))

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        found = self._map(images)
        return {images.shape[-1] // found.shape[-1]: found}

    def stages(self) -> list[nn.Module]:
        parts: Any = self.model
        return [parts["stem"], *parts["blocks"]]


def _forget(backbone: Backbone, count: int) -> None:
    """Give the `count` deepest stages (all, if there are fewer) the weights that a new model would have."""
    stages = backbone.stages()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for stage in stages[-count:]:
            for module in stage.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out")
                elif isinstance(module, nn.BatchNorm2d):
                    module.reset_parameters()
                    module.reset_running_stats()


def named(text: str) -> Made:
    """Return the candidate of that name."""
    return next(made for made in CANDIDATES if str(made) == text)


def names(of: Sequence[Made] = CANDIDATES) -> list[str]:
    """Return the names of the candidates."""
    return [str(made) for made in of]
