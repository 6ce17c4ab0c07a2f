"""Canvas: whole pictures of several sizes as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from headstart.data.transforms import Preprocessing

# B images, C channels, H and W pixels

MULTIPLE = 32
"""Sides of a canvas are multiples of it, so that every map has whole cells."""


def on_canvas(images: Sequence[torch.Tensor], preprocessing: Preprocessing) -> torch.Tensor:
    """Return float32 [B, C, H, W], the normalised images on one canvas, filled with zeros to the right and below.

    images: uint8 [C, h, w] each. H and W are the largest h and w, rounded up to multiples of 32.
    """
    height, width = (-(-max(image.shape[side] for image in images) // MULTIPLE) * MULTIPLE for side in (-2, -1))
    laid = [functional.pad(preprocessing.normalise(image), (0, width - image.shape[-1], 0, height - image.shape[-2]))
            for image in images]
    return torch.stack(laid).contiguous(memory_format=torch.channels_last)
