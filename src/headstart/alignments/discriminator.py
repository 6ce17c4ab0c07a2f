"""Discriminator: a small network that tells the source from the target, and what its answers cost."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# B source images, T target images, D values an image


def discriminator(width: int, hidden: int) -> nn.Sequential:
    """Return a network from float32 [*, D] to logits [*, 1]: above zero for the source. `width`: D.

    Two hidden layers, as in Ganin et al. and Long et al. No BatchNorm: it has no statistics of a batch of one image,
    and those of a batch of one domain give the domain away.
    """
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, 1))


def source_costs(logits: torch.Tensor) -> torch.Tensor:
    """Return [B], the cross-entropy of each logit [B, 1] of images that are, or are to be taken for, source ones."""
    return functional.softplus(-logits[:, 0])


def target_costs(logits: torch.Tensor) -> torch.Tensor:
    """Return [T], the cross-entropy of each logit [T, 1] of images that are target ones."""
    return functional.softplus(logits[:, 0])


def domain_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean of the two domains' mean costs, so that both weigh the same: ln 2 where nothing can be told.

    source: logits [B, 1]. target: logits [T, 1].
    """
    return (source_costs(source).mean() + target_costs(target).mean()) / 2
