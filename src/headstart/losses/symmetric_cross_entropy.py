"""Symmetric cross-entropy: cross-entropy, plus the same with label and answer exchanged, for labels that may err."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional

from headstart.losses.loss import Loss

LOG_ZERO = -4.0
"""Stands for log 0, the A of the paper; what is lower is cut to it."""


class SymmetricCrossEntropy(Loss):
    """-alpha sum t log p - beta sum p log t over the classes; for several labels on each, mean over them.

    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, equation 7.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    alpha: float = Field(0.1, ge=0, le=100)
    """Weight of the cross-entropy: more of it learns faster, and more of what is wrong."""
    beta: float = Field(1.0, gt=0, le=100)
    """Weight of the reverse."""

    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        log_p = functional.log_softmax(logits, dim=1)
        return -(self.alpha * targets * log_p + self.beta * log_p.exp() * _log(targets)).sum(dim=1)

    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        forward = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        reverse = -torch.sigmoid(logits) * _log(targets) - torch.sigmoid(-logits) * _log(1 - targets)
        return (self.alpha * forward + self.beta * reverse).mean(dim=1)


def _log(targets: torch.Tensor) -> torch.Tensor:
    return targets.log().clamp(min=LOG_ZERO)
