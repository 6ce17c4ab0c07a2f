"""Focal loss: what is right already counts less, so that learning turns to what is still wrong."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional

from headstart.errors import ConfigError
from headstart.losses.loss import Loss

TINY = 1e-12
"""Least share of doubt: below it x^gamma has no finite slope where gamma < 1."""


class Focal(Loss):
    """-sum t (1 - p)^gamma log p over the classes; for several labels the same on each, mean over them.

    Sources: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; for soft labels on sigmoids as in
    torchvision.ops.sigmoid_focal_loss.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    gamma: float = Field(2.0, ge=0, le=20)
    """How much less an answer counts that is right already; 0 is cross-entropy."""
    alpha: float | None = Field(None, gt=0, lt=1)
    """Share of the present labels against the absent ones; multi-label only."""

    def check(self, task: str) -> None:
        """Raise ConfigError where the task is none of `tasks`, or `alpha` would have no effect."""
        super().check(task)
        if task == "classification" and self.alpha is not None:
            raise ConfigError("loss focal: alpha weighs present labels against absent ones, which has no effect on "
                              "classification. Leave it out; class_weights weighs classes.")

    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        log_p = functional.log_softmax(logits, dim=1)
        doubt = (-torch.expm1(log_p)).clamp(min=TINY)
        return -(targets * doubt ** self.gamma * log_p).sum(dim=1)

    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B]."""
        doubt = (targets * torch.sigmoid(-logits) + (1 - targets) * torch.sigmoid(logits)).clamp(min=TINY)
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none") * doubt ** self.gamma
        if self.alpha is not None:
            losses = losses * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
        return losses.mean(dim=1)
