"""MDD: a second classifier that agrees with the head on the source and differs by a margin on the target."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse, rising

# N images of a domain, C classes


class MDD(Alignment):
    """margin * mean -log q(y | source) - mean log(1 - q(y | target)): y the head's own answer, q an adversary's.

    The adversary, one linear layer as the head is, descends it: its margin disparity on the target grows over that on
    the source. The features climb it: between them the gradient is turned round, times `reversal` times
    2 / (1 + exp(-10 p)) - 1 at progress p. The head is not touched. Needs features and logits of both domains, no
    labels.
    Source: Zhang et al., "Bridging Theory and Algorithm for Domain Adaptation", ICML 2019.
    """

    margin: float = Field(4.0, gt=0, le=1000)
    """Weight of agreement on the source (the paper's gamma; log gamma is the margin)."""
    reversal: float = Field(0.01, ge=0, le=100)
    """Factor on what reaches the features (the paper's eta, 0.1 with SGD: AdamW makes a full step of a small gradient
    once the source is learned)."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its adversarial classifier."""
        return _MarginDisparity(width, classes, self)


class _MarginDisparity(nn.Module):
    def __init__(self, width: int, classes: int, settings: MDD) -> None:
        super().__init__()
        self.settings = settings
        self.adversary = nn.Linear(width, classes)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        factor = self.settings.reversal * rising(pair.progress)
        source = self.adversary(reverse(pair.source.features, factor))
        target = self.adversary(reverse(pair.target.features, factor))
        agreed = functional.cross_entropy(source, pair.source.logits.argmax(dim=1))
        return self.settings.margin * agreed - log_other(target, pair.target.logits.argmax(dim=1)).mean()


def log_other(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return [N], log(1 - q) of the probability q of one class an image [N]: finite where q rounds to 1.

    logits: [N, C], of two classes or more.
    """
    own = functional.one_hot(classes, logits.shape[1]).bool()
    return logits.masked_fill(own, -torch.inf).logsumexp(dim=1) - logits.logsumexp(dim=1)
