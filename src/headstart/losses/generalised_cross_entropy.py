"""Generalised cross-entropy: between cross-entropy and absolute error, so that wrong labels pull less."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional

from headstart.losses.loss import Loss


class GeneralisedCrossEntropy(Loss):
    """sum t (1 - p^q) / q over the classes; for several labels the same on each and its absence, mean over them.

    Source: Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018, equation 6.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    q: float = Field(0.7, gt=0, le=1)
    """Towards 0 it is cross-entropy, which learns fast; 1 is the absolute error, which wrong labels mislead least."""

    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        return (targets * self._cost(functional.log_softmax(logits, dim=1))).sum(dim=1)

    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        present, absent = self._cost(functional.logsigmoid(logits)), self._cost(functional.logsigmoid(-logits))
        return (targets * present + (1 - targets) * absent).mean(dim=1)

    def _cost(self, log_p: torch.Tensor) -> torch.Tensor:
        # p^q as a power of e: p may be 0, where a power of p has no finite slope; expm1 keeps the digits for small q.
        return -torch.expm1(self.q * log_p) / self.q
