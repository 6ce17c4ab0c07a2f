"""Multilabel: each image has any number of labels, none included."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from headstart.errors import ConfigError
from headstart.tasks.task import ImageTask

# B images, C classes, N samples

Threshold = Annotated[float, Field(gt=0, lt=1)]


class Multilabel(ImageTask):
    """A sigmoid for each class, binary cross-entropy, every class that reaches its threshold."""

    # Average precision needs no threshold, and unlike accuracy it sees the rare labels.
    monitor: ClassVar[str] = "average_precision"

    threshold: Threshold | tuple[Threshold, ...] = 0.5
    """A label is given where its probability reaches this: one number, or one for each class."""

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return float32 [B], the binary cross-entropy of each sample, mean over the classes.

        targets: float32 [B, C] in 0..1. label_smoothing: the share of each target that goes to one half.
        """
        smooth = targets.float() * (1 - label_smoothing) + label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits.float(), smooth, reduction="none").mean(dim=1)

    def probabilities(self, logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return float64 [N, C]: sigmoid(logits / temperature), without overflow at either end."""
        scaled = np.asarray(logits, np.float64) / temperature
        small = np.exp(-np.abs(scaled))
        return np.asarray(np.where(scaled >= 0, 1, small) / (1 + small))

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return int64 [N, C] of 0 and 1. Raises ConfigError where there are thresholds for other classes."""
        probabilities, thresholds = np.asarray(probabilities), np.asarray(self.threshold)
        if thresholds.ndim and len(thresholds) != probabilities.shape[1]:
            raise ConfigError(f"threshold: {len(thresholds)} numbers for {probabilities.shape[1]} classes. Give one "
                              "number, or one for each class.")
        return (probabilities >= thresholds).astype(np.int64)
