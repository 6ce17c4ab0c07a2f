"""Readers: what stands between a backbone's maps and a detector; the pyramid makes maps of one width at every scale."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool

from headstart.backbones.maps import Maps, at_stride, nearest

# B images, C channels of a map, H and W pixels

STRIDES = (8, 16, 32)
"""Of the maps that are read, where the backbone has them."""


class Reader(nn.Module):
    """Stands where torchvision's detectors expect a backbone, and reads maps that were fed to it.

    So their losses, their sampling and their choice of boxes are theirs, and the backbone stays ours, with its stages,
    rates and freezing.
    """

    finest: int
    """Stride of the finest map that is looked at."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = width
        self._maps: Maps = {}

    def feed(self, maps: Maps) -> None:
        """Set what the next call of `forward` reads; an empty mapping lets go of it."""
        self._maps = maps


class AsTheyAre(Reader):
    """Gives the maps on under the names that a published detector expects, the finest first."""

    finest = 1

    def __init__(self, width: int, names: Sequence[str]) -> None:
        super().__init__(width)
        self.names = tuple(names)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Return the maps [B, width, h, w]. images: not looked at."""
        return OrderedDict(zip(self.names, (self._maps[stride] for stride in sorted(self._maps)), strict=True))


class Pyramid(Reader):
    """Maps of one width at every scale.

    Source: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017. Where a backbone
    has its last map only (a plain ViT), finer and coarser ones are made of it by resizing, as in Li et al., "Exploring
    Plain Vision Transformer Backbones for Object Detection", ECCV 2022, without their deconvolutions.
    """

    finest = STRIDES[0]

    def __init__(self, channels: Mapping[int, int], width: int, extra: ExtraFPNBlock | None) -> None:
        super().__init__(width)
        self.sources = sources_of(channels)
        self.fpn = FeaturePyramidNetwork([channels[source] for source in self.sources.values()], width, extra)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Return the maps of the pyramid, [B, width, H/stride, W/stride], finest first. images: not looked at."""
        found = OrderedDict((str(stride), at_stride(self._maps, stride, source))
                            for stride, source in self.sources.items())
        made: OrderedDict[str, torch.Tensor] = self.fpn(found)
        return made


@dataclass(frozen=True)
class Regions:
    """What detectors that propose regions have in common."""

    pyramid: Pyramid
    names: list[str]
    """Of the maps that regions are cut out of."""
    sizes: tuple[tuple[int], ...]
    """Sides of the boxes that are proposed on each map of the pyramid, in pixels."""
    ratios: tuple[tuple[float, float, float], ...]
    pooled: int = 7
    """Side of what is cut out of a map for a region."""

    def settings(self, proposals: int) -> dict[str, int]:
        """Return torchvision's settings for so many regions at most."""
        return {"rpn_pre_nms_top_n_train": 1000, "rpn_pre_nms_top_n_test": 1000,
                "rpn_post_nms_top_n_train": proposals, "rpn_post_nms_top_n_test": proposals,
                "rpn_batch_size_per_image": 128, "box_batch_size_per_image": 128}


def regions_of(channels: Mapping[int, int], width: int) -> Regions:
    """Return the pyramid, of `width` channels, on a backbone's maps, and what is proposed on it."""
    sizes = tuple((4 * stride,) for stride in (*STRIDES, 64))
    return Regions(Pyramid(channels, width, LastLevelMaxPool()), [str(stride) for stride in STRIDES], sizes,
                   ((0.5, 1.0, 2.0),) * len(sizes))


def sources_of(channels: Mapping[int, int]) -> dict[int, int]:
    """Return for each of STRIDES the stride of the map that it is read from: its own, where the backbone has it."""
    return {stride: nearest(stride, channels) for stride in STRIDES}
