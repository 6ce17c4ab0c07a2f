"""Cross-entropy: the log loss, the one that gives calibrated probabilities on clean, balanced labels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from headstart.losses.loss import Loss


class CrossEntropy(Loss):
    """-sum t log p over the classes; for several labels the mean of the binary cross-entropies."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        return functional.cross_entropy(logits, targets, reduction="none")

    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
