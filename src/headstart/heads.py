"""Heads: from pooled features to logits."""

from __future__ import annotations

import torch
from torch import nn


class LinearHead(nn.Module):
    """Dropout, then one linear layer: float32 [B, D] -> logits [B, C]."""

    def __init__(self, width: int, classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits [B, C]."""
        logits: torch.Tensor = self.linear(self.dropout(features))
        return logits
