"""BatchNorm's statistics, taken anew from the training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.errors import DataError

# B images


def adapt_statistics(backbone: nn.Module, batches: Iterable[torch.Tensor]) -> int:
    """Give every BatchNorm the mean of its batches' means and variances; return how many there are.

    batches: float32 [B, channels, H, W], preprocessed; each counts the same, those of one image not at all.
    No weight changes; dropout and drop path rest, and all modules are in eval mode afterwards.
    Raises DataError where no batch has two images. Source: Li et al., "Revisiting Batch Normalization For Practical
    Domain Adaptation" (AdaBN), 2016.
    """
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    backbone.eval()
    if not norms:
        return 0
    momenta = [norm.momentum for norm in norms]
    taken = 0
    try:
        with torch.no_grad():
            for images in batches:
                if len(images) < 2:
                    continue
                if not taken:
                    _begin(norms)
                backbone(images)
                taken += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        backbone.eval()
    if not taken:
        raise DataError("batch_norm=adapt takes BatchNorm's statistics from batches of the training images, and none "
                        "has two images. Give more images or a larger batch_size, or take batch_norm=frozen.")
    return len(norms)


def _begin(norms: list[_BatchNorm]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.training = True  # this module alone: what stands inside of timm's fused ones keeps resting
