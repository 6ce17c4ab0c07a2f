"""Logit adjustment: learn what the images add to the class shares, so that rare classes are not drowned by them."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional

from headstart.losses.loss import Loss


class LogitAdjusted(Loss):
    """Cross-entropy of logits + tau log prior; for several labels of logits + tau log(prior / (1 - prior)).

    Only while training: the bare logits that are left answer as if every class were equally frequent.
    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, equation 10.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    uses_prior: ClassVar[bool] = True

    tau: float = Field(1.0, ge=0, le=10)
    """1 makes the mean of the classes' recalls as large as it gets; 0 is cross-entropy."""

    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        return functional.cross_entropy(logits + self.tau * prior.log(), targets, reduction="none")

    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        adjusted = logits + self.tau * torch.logit(prior)
        return functional.binary_cross_entropy_with_logits(adjusted, targets, reduction="none").mean(dim=1)
