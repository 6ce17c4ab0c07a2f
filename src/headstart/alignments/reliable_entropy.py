"""Reliable entropy: be surer of target images that are sure already, and say something new."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.uncertainty import entropies

# T target images, C classes


class ReliableEntropy(Alignment):
    """Entropy H of each target image, weighing exp(E - H) where H < E = `share` ln C and the answer is not one of many.

    An image whose softmax has a cosine of `alike` or more with the running mean of those that were learned from says
    nothing new, and is left out. The mean is over the images of the batch that stay. The source is not needed.
    Source: Niu et al., "Efficient Test-Time Model Adaptation without Forgetting" (EATA), ICML 2022, equations 3-6.
    """

    sourceless: ClassVar[bool] = True

    share: float = Field(0.4, gt=0, le=1)
    """Part of the largest possible entropy from which on an image is not to be trusted."""
    alike: float | None = Field(None, gt=0, le=1)
    """Cosine with the running mean from which on an answer is not new; None: 0.4 at 10 classes, as in the paper, and
    falling as 1 / sqrt(C), as the cosine of a sure answer with an even mean does; at most 0.95."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the module, which keeps the running mean of the answers."""
        alike = min(0.95, 0.4 * math.sqrt(10 / classes)) if self.alike is None else self.alike
        return _ReliableEntropy(self.share * math.log(classes), alike, classes)


class _ReliableEntropy(nn.Module):
    mean: torch.Tensor
    seen: torch.Tensor

    def __init__(self, limit: float, alike: float, classes: int) -> None:
        super().__init__()
        self.limit, self.alike = limit, alike
        self.register_buffer("mean", torch.zeros(classes))
        self.register_buffer("seen", torch.zeros(()))

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        """Return the weighted mean entropy of the images that stay; 0 where none does."""
        logs = functional.log_softmax(pair.target.logits, dim=1)
        chances = logs.exp()
        entropy = entropies(logs)
        with torch.no_grad():
            kept = entropy < self.limit
            if self.seen:
                kept &= functional.cosine_similarity(chances, self.mean[None], dim=1) < self.alike
            weights = torch.where(kept, (self.limit - entropy).exp(), torch.zeros_like(entropy))
            if self.training and kept.any():
                own = chances[kept].mean(dim=0)
                self.mean.copy_(0.9 * self.mean + 0.1 * own if self.seen else own)
                self.seen.fill_(1)
        return (weights * entropy).sum() / kept.sum().clamp(min=1)
