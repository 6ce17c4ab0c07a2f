"""Maps: those of a backbone at the strides that a head wants, also where the backbone has others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from headstart.backbones.backbone import Backbone

Maps = Mapping[int, torch.Tensor]
"""{stride: [B, C, H/stride, W/stride]}."""
SIDE = 64
"""Pixels of a blank picture that shows which maps a backbone has."""


def channels_of(backbone: Backbone) -> dict[int, int]:
    """Return the channels of the backbone's maps, by stride; its mode stays as it is."""
    like, mode = next(backbone.parameters()), backbone.training
    blank = torch.zeros(1, backbone.spec.preprocessing.channels, SIDE, SIDE, device=like.device)
    backbone.eval()
    with torch.no_grad():
        found = {stride: one.shape[1] for stride, one in backbone.maps(blank).items()}
    backbone.train(mode)
    return found


def nearest(stride: int, channels: Mapping[int, int]) -> int:
    """Return the stride of the map that one of `stride` is made of: its own or the nearest, of two the finer."""
    return min(channels, key=lambda found: (abs(found.bit_length() - stride.bit_length()), found))


def at_stride(maps: Maps, stride: int, source: int) -> torch.Tensor:
    """Return the map of stride `source`, resized to `stride`."""
    found = maps[source]
    if source == stride:
        return found
    factor = source / stride
    return functional.interpolate(found, scale_factor=factor, mode="nearest") if factor > 1 else \
        functional.max_pool2d(found, int(1 / factor))
