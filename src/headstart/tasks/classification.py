"""Classification: each image belongs to exactly one class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from headstart.tasks.task import ImageTask

# B images, C classes, N samples


class Classification(ImageTask):
    """Softmax over the classes, cross-entropy, the most probable class."""

    monitor: ClassVar[str] = "accuracy"

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return float32 [B], the cross-entropy of each sample.

        targets: int64 [B] class indices, or float32 [B, C] rows that sum to 1 (mixed labels).
        """
        # In float32 whatever the autocast says: bfloat16 keeps 8 bits, too few for a log-sum-exp.
        return functional.cross_entropy(logits.float(), targets, reduction="none", label_smoothing=label_smoothing)

    def probabilities(self, logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return float64 [N, C], rows that sum to 1: softmax(logits / temperature)."""
        scaled = np.asarray(logits, np.float64) / temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return int64 [N], the most probable class; the first one where several are equal."""
        return np.asarray(probabilities).argmax(axis=1)
