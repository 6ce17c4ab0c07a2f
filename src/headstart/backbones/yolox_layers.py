"""Layers of YOLOX: convolution with normalisation, cross-stage partial block, pools of three sizes, the stem.

Written from Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430, and the papers it builds on. Names of
tensors and constants are those of the authors' release (Megvii, Apache-2.0), so that its files of weights load.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# B images, C channels, H and W pixels or cells

QUARTERS = 4
"""Of a picture in the stem: its pixels in even or odd rows and columns."""


class Conv(nn.Module):
    """Convolution, BatchNorm, SiLU: [B, inputs, H, W] -> [B, outputs, H/stride, W/stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation."""
        return functional.silu(self.bn(self.conv(x)))


class Separable(nn.Module):
    """The same in two steps, channel by channel and then point by point: what YOLOX-Nano has for larger kernels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = Conv(inputs, inputs, kernel, stride, groups=inputs)
        self.pconv = Conv(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation."""
        found: torch.Tensor = self.pconv(self.dconv(x))
        return found


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, *, separable: bool) -> nn.Module:
    """Return a convolution larger than a point, whole or separable."""
    return Separable(inputs, outputs, kernel, stride) if separable else Conv(inputs, outputs, kernel, stride)


class Bottleneck(nn.Module):
    """A point-wise and a 3 x 3 convolution of one width, with or without what went in added."""

    def __init__(self, width: int, *, residual: bool, separable: bool) -> None:
        super().__init__()
        self.conv1 = Conv(width, width)
        self.conv2 = convolution(width, width, 3, separable=separable)
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, width, H, W]."""
        found: torch.Tensor = self.conv2(self.conv1(x))
        return x + found if self.residual else found


class Csp(nn.Module):
    """Bottlenecks on one half of the channels, the other half beside them.

    Source: Wang et al., "CSPNet", CVPR workshops 2020.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int, *, residual: bool, separable: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = Conv(inputs, half)
        self.m = nn.Sequential(*(Bottleneck(half, residual=residual, separable=separable) for _ in range(blocks)))
        self.conv2 = Conv(inputs, half)
        self.conv3 = Conv(2 * half, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, outputs, H, W]."""
        found: torch.Tensor = self.conv3(torch.cat([self.m(self.conv1(x)), self.conv2(x)], dim=1))
        return found


class Pools(nn.Module):
    """Each cell, and the maxima of the 5, 9 and 13 cells around it. Source: He et al., "SPP", ECCV 2014."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Conv(width, width // 2)
        self.conv2 = Conv(QUARTERS * (width // 2), width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [B, width, H, W]."""
        found = [self.conv1(x)]
        for _ in range(3):
            found.append(functional.max_pool2d(found[-1], 5, stride=1, padding=2))  # 5 of 5 are 9, and of those 13
        mixed: torch.Tensor = self.conv2(torch.cat(found, dim=1))
        return mixed


class Focus(nn.Module):
    """The stem: the pixels of each 2 x 2 square beside each other as channels, then a convolution."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(QUARTERS * channels, outputs, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return [B, outputs, H/2, W/2]; odd sides get a row or column of zeros."""
        height, width = images.shape[-2:]
        if height % 2 or width % 2:
            images = functional.pad(images, (0, width % 2, 0, height % 2))
        quarters = [images[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        found: torch.Tensor = self.conv(torch.cat(quarters, dim=1))
        return found
