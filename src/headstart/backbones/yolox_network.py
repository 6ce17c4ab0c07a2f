"""The network of YOLOX in its two parts: a trunk that makes maps, and what reads them into answers for each cell.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430. Names of tensors and constants are those of
the authors' release (Megvii, Apache-2.0): its files have the trunk's after `backbone.backbone.`, the others as here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from headstart.backbones.yolox_layers import Conv, Csp, Focus, Pools, convolution

# B images, A cells of all maps, C classes, H and W pixels

STRIDES = (8, 16, 32)
"""Pixels between the cells of the maps that are read."""
PRIOR = 0.01
"""What a fresh head believes of any cell."""


@dataclass(frozen=True)
class Scaling:
    """How a member of the family is made from YOLOX-L, whose depth and width are 1."""

    depth: float
    width: float
    separable: bool = False

    @property
    def blocks(self) -> int:
        """How many bottlenecks a block has."""
        return max(round(3 * self.depth), 1)

    @property
    def stem(self) -> int:
        """Channels of the stem."""
        return int(64 * self.width)

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels of the maps that are read."""
        return int(256 * self.width), int(512 * self.width), int(1024 * self.width)


class Trunk(nn.Module):
    """CSPDarknet: images [B, channels, H, W] -> {stride: [B, C, H/stride, W/stride]}, finest first."""

    def __init__(self, scaling: Scaling, channels: int) -> None:
        super().__init__()
        base, blocks, separable = scaling.stem, scaling.blocks, scaling.separable

        def stage(width: int, count: int, *between: nn.Module, residual: bool = True) -> nn.Sequential:
            return nn.Sequential(convolution(width, 2 * width, 3, 2, separable=separable), *between,
                                 Csp(2 * width, 2 * width, count, residual=residual, separable=separable))

        self.stem = Focus(channels, base)
        self.dark2 = stage(base, blocks)
        self.dark3 = stage(2 * base, 3 * blocks)
        self.dark4 = stage(4 * base, 3 * blocks)
        self.dark5 = stage(8 * base, blocks, Pools(16 * base), residual=False)

    def forward(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return the maps of strides 2 to 32."""
        found = {2: self.stem(images)}
        for stride, part in zip((4, *STRIDES), (self.dark2, self.dark3, self.dark4, self.dark5), strict=True):
            found[stride] = part(found[stride // 2])
        return found


class PathAggregation(nn.Module):
    """A pyramid down to the finest map and up again. Source: Liu et al., "PANet", CVPR 2018.

    Its maps have the channels of those that it reads.
    """

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        fine, middle, coarse = scaling.channels
        separable = scaling.separable

        def block(inputs: int, outputs: int) -> Csp:
            return Csp(inputs, outputs, scaling.blocks, residual=False, separable=separable)

        self.lateral_conv0 = Conv(coarse, middle)
        self.C3_p4 = block(2 * middle, middle)
        self.reduce_conv1 = Conv(middle, fine)
        self.C3_p3 = block(2 * fine, fine)
        self.bu_conv2 = convolution(fine, fine, 3, 2, separable=separable)
        self.C3_n3 = block(2 * fine, middle)
        self.bu_conv1 = convolution(middle, middle, 3, 2, separable=separable)
        self.C3_n4 = block(2 * middle, coarse)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return three maps, finest first, as they came."""
        fine, middle, coarse = maps
        low = self.lateral_conv0(coarse)
        mid = self.reduce_conv1(self.C3_p4(_joined(_enlarged(low, middle), middle)))
        first = self.C3_p3(_joined(_enlarged(mid, fine), fine))
        second = self.C3_n3(_joined(self.bu_conv2(first), mid))
        return [first, second, self.C3_n4(_joined(self.bu_conv1(second), low))]


class DecoupledHead(nn.Module):
    """For each map two branches, one that tells the class, one that tells the box and whether there is one."""

    def __init__(self, scaling: Scaling, classes: int) -> None:
        super().__init__()
        width = scaling.channels[0]

        def branch(_: int) -> nn.Module:
            return nn.Sequential(*(convolution(width, width, 3, separable=scaling.separable) for _ in range(2)))

        def each(make: Callable[[int], nn.Module]) -> nn.ModuleList:
            return nn.ModuleList(make(channels) for channels in scaling.channels)

        self.cls_convs, self.reg_convs = each(branch), each(branch)
        self.cls_preds = each(lambda _: nn.Conv2d(width, classes, 1))
        self.reg_preds = each(lambda _: nn.Conv2d(width, 4, 1))
        self.obj_preds = each(lambda _: nn.Conv2d(width, 1, 1))
        self.stems = each(lambda channels: Conv(channels, width))
        for layer in (*self.cls_preds, *self.obj_preds):
            nn.init.constant_(layer.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the answers of all cells, finest map first, row by row, and where the cells are.

        Answers: [B, A, 5 + C], the raw box, the logit of an object, the logits of the classes.
        Cells: float32 [A, 3], the left and the top side in pixels, the stride.
        """
        answers, cells = [], []
        for level, (stride, found) in enumerate(zip(STRIDES, maps, strict=True)):
            shared = self.stems[level](found)
            box = self.reg_convs[level](shared)
            answer = torch.cat([self.reg_preds[level](box), self.obj_preds[level](box),
                                self.cls_preds[level](self.cls_convs[level](shared))], dim=1)
            answers.append(answer.flatten(2).transpose(1, 2))
            cells.append(_cells(answer, stride))
        return torch.cat(answers, dim=1), torch.cat(cells)


class Reading(nn.Module):
    """Pyramid and head under the names of the release; maps of other channels than the trunk's are brought to its.

    channels: of the maps that will come, strides 8, 16 and 32.
    """

    def __init__(self, channels: Sequence[int], scaling: Scaling, classes: int) -> None:
        super().__init__()
        self.entry = nn.ModuleList(nn.Identity() if found == wanted else Conv(found, wanted)
                                   for found, wanted in zip(channels, scaling.channels, strict=True))
        self.backbone = PathAggregation(scaling)
        self.head = DecoupledHead(scaling, classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return answers [B, A, 5 + C] and cells [A, 3], as the head does."""
        found: tuple[torch.Tensor, torch.Tensor] = self.head(
            self.backbone([layer(one) for layer, one in zip(self.entry, maps, strict=True)]))
        return found


def _enlarged(found: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(found, size=like.shape[-2:], mode="nearest")


def _joined(found: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.cat([found, other], dim=1)


def _cells(like: torch.Tensor, stride: int) -> torch.Tensor:
    """Return float32 [H * W, 3] of a map: left and top side in pixels, stride."""
    rows, columns = (torch.arange(side, device=like.device, dtype=torch.float32) * stride for side in like.shape[-2:])
    top, left = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([left, top, torch.full_like(left, stride)], dim=-1).flatten(0, 1)
