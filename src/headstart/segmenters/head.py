"""SegmentationHead: a decoder over a backbone's maps, and the layer that tells classes; the door to the library's own.

The decoders are those of segmentation-models-pytorch (MIT). The library reads its own encoders; here it reads ours, so
that weights, stages, rates and freezing are those of every other task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps, at_stride, channels_of, nearest
from headstart.errors import ResourceError

# B images, C classes, H and W pixels

LEAST = 16
"""Channels of the last block of a U-Net at least: of 4, eleven classes can't be told (CamVid's sky was never found)."""
STRIDES = (2, 4, 8, 16, 32)
"""Of the maps that are read, where the backbone has them."""


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's, which also takes one value for each channel: what is pooled of one image has no variance of its own.

    Then the running statistics are used, and left as they are; a batch of one image would end the training.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps [B, C, H, W]."""
        if self.training and len(input) * input.shape[2] * input.shape[3] == 1:
            return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
                                         eps=self.eps)
        return super().forward(input)


class SegmentationHead(nn.Module):
    """Maps of a backbone -> logits of each pixel."""

    tells_classes: ClassVar[re.Pattern[str]] = re.compile(r"^classifier\.")
    """Names of the tensors that have a row for each class."""

    def __init__(self, decoder: nn.Module, sources: dict[int, int], *, width: int, classes: int, kernel: int) -> None:
        """sources: stride that the decoder wants -> stride of the backbone's map; width: channels of its answer."""
        super().__init__()
        for layer in decoder.modules():
            if type(layer) is nn.BatchNorm2d:
                layer.__class__ = BatchNorm
        self.decoder = decoder
        self.sources = sources
        self.finest = min(sources.values())
        """Stride of the finest map that is looked at."""
        self.classifier = nn.Conv2d(width, classes, kernel, padding=kernel // 2)

    def forward(self, maps: Maps, images: torch.Tensor) -> torch.Tensor:
        """Return float32 logits [B, C, H, W]. images: [B, channels, H, W], for their size, multiples of 32."""
        found = self.decoder(features(maps, images, self.sources))
        logits = self.classifier(found).float()
        return functional.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)

    def take_over(self, other: SegmentationHead, pairs: Sequence[tuple[int, int]]) -> None:
        """Take the tensors of another head: of the layer that tells classes the rows of `pairs` (own, the other's)."""
        theirs, mine = other.state_dict(), self.state_dict()
        for name, tensor in mine.items():
            source = theirs.get(name)
            if source is None or tensor.shape[1:] != source.shape[1:]:
                continue
            if self.tells_classes.search(name):
                for new, old in pairs:
                    tensor[new] = source[old]
            elif tensor.shape == source.shape:
                tensor.copy_(source)


def features(maps: Maps, images: torch.Tensor, sources: dict[int, int]) -> list[torch.Tensor]:
    """Return what the library's encoders give: the images, then the map of each stride, finest first.

    A stride that no map is near enough for has no channels: its decoders do without.
    """
    height, width = images.shape[-2:]
    found = [images]
    for stride in STRIDES:
        if stride in sources:
            found.append(at_stride(maps, stride, sources[stride]).float())
        else:
            found.append(images.new_zeros((len(images), 0, height // stride, width // stride)))
    return found


def decoder_of(build: Callable[..., Any], backbone: Backbone, *, strides: Sequence[int] = STRIDES,
               **settings: Any) -> tuple[nn.Module, dict[int, int]]:
    """Return a decoder of the library for the backbone's maps, and which of them it reads.

    build: its class, which takes `encoder_channels`. strides: of the maps that it looks at.
    """
    channels = channels_of(backbone)
    # Stride 2 is an ornament, which the library's decoders do without; the others they need, if need be resized ones.
    sources = {stride: nearest(stride, channels) for stride in strides if stride > 2 or stride in channels}
    widths = [backbone.spec.preprocessing.channels, *(channels[sources[stride]] if stride in sources else 0
                                                      for stride in STRIDES)]
    return build(encoder_channels=widths, **settings), sources


def halving_head(build: Callable[..., Any], backbone: Backbone, classes: int, width: int) -> SegmentationHead:
    """Return the head of a U-Net: five blocks, the coarsest of `width` channels, each finer one of half as many, down
    to LEAST.
    """
    widths = [max(width >> level, LEAST) for level in range(5)]
    decoder, sources = decoder_of(build, backbone, decoder_channels=widths)
    return SegmentationHead(decoder, sources, width=widths[-1], classes=classes, kernel=3)


def library() -> Any:
    """Return segmentation-models-pytorch. Raises ResourceError where it is not installed."""
    try:
        import segmentation_models_pytorch
        import segmentation_models_pytorch.decoders
    except ImportError:
        raise ResourceError("segmentation needs segmentation-models-pytorch. Install it with: "
                            "pip install 'headstart[segmentation]'.") from None
    return segmentation_models_pytorch.decoders
