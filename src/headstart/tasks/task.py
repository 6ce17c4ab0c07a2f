"""Task: the contract of what is predicted."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.heads import LinearHead
from headstart.part import Part

# B images, C classes, N samples


class Task(Part):
    """Knows the head of one kind of prediction, and the metric that says which of two models is better."""

    monitor: ClassVar[str]
    """The metric by which validation selects; a name in the metric registry."""

    @abstractmethod
    def head(self, backbone: Backbone, classes: int) -> nn.Module:
        """Return a fresh head for the backbone."""


class ImageTask(Task):
    """A task that says something of the image as a whole: logits [B, C] of its pooled features."""

    def head(self, backbone: Backbone, classes: int) -> nn.Module:
        """Return a fresh linear head: float32 [B, backbone.width] -> logits [B, classes]."""
        return LinearHead(backbone.width, classes)

    @abstractmethod
    def loss(self, logits: torch.Tensor, targets: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return float32 [B], the loss of each sample. logits [B, C]; targets as in `Batch`."""

    @abstractmethod
    def probabilities(self, logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return float64 [N, C] in 0..1 from logits [N, C]."""

    @abstractmethod
    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return int64 [N] class indices, or int64 [N, C] of 0 and 1 for multi-label."""
