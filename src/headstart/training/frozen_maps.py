"""FrozenMaps: the maps of a frozen backbone, kept from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps

# B images


class FrozenMaps:
    """The maps of images on their canvas, as far as they fit into a budget of bytes."""

    def __init__(self, budget: float, finest: int) -> None:
        """Set the budget, and the finest stride that is wanted."""
        self._left = budget
        self._finest = finest
        self._kept: dict[tuple[str, int, int, int], dict[int, torch.Tensor]] = {}

    def of(self, backbone: Backbone, images: torch.Tensor, keys: Sequence[tuple[str, int]]) -> Maps:
        """Return {stride: [B, C, h, w]}; each image goes through the backbone alone: company changes nothing."""
        found = [self._one(backbone, image[None], (*key, image.shape[-2], image.shape[-1]))
                 for image, key in zip(images, keys, strict=True)]
        return {stride: torch.cat([one[stride] for one in found]) for stride in found[0]}

    def _one(self, backbone: Backbone, image: torch.Tensor, key: tuple[str, int, int, int]) -> dict[int, torch.Tensor]:
        if key in self._kept:
            return self._kept[key]
        with torch.no_grad():
            maps = {stride: found for stride, found in backbone.maps(image).items() if stride >= self._finest}
        size = sum(found.nbytes for found in maps.values())
        if size <= self._left:
            self._left -= size
            self._kept[key] = maps
        return maps
