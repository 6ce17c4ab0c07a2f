"""Uncertainty: how unsure answers are."""

from __future__ import annotations

import torch

# N images, C classes


def entropies(log_p: torch.Tensor) -> torch.Tensor:
    """Return [N], the entropy in nats of each distribution, of its logarithms [N, C]."""
    return -(log_p.exp() * log_p).sum(dim=1)
