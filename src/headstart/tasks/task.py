"""Task: the contract of what is predicted."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from headstart.part import Part

# B images, C classes, D features, N samples


class Task(Part):
    """Knows the head, the loss, the probabilities and the metrics of one kind of prediction."""

    monitor: ClassVar[str]
    """The metric by which validation selects; a name in the metric registry."""

    def head(self, width: int, classes: int, *, dropout: float = 0.0) -> nn.Module:
        """Return a fresh head: float32 [B, width] -> logits [B, classes]."""
        from headstart.heads import LinearHead
        return LinearHead(width, classes, dropout=dropout)

    @abstractmethod
    def loss(self, logits: torch.Tensor, targets: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return float32 [B], the loss of each sample. logits [B, C]; targets as in `Batch`."""

    @abstractmethod
    def probabilities(self, logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return float64 [N, C] in 0..1 from logits [N, C]."""

    @abstractmethod
    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return int64 [N] class indices, or int64 [N, C] of 0 and 1 for multi-label."""
