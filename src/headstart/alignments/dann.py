"""DANN: the features learn to leave a discriminator of the two domains in the dark."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.discriminator import discriminator, domain_loss
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse, rising


class DANN(Alignment):
    """Cross-entropy of a domain discriminator on the features, mean of the two domains' means; ln 2 is indifference.

    The discriminator descends it. The features climb it: between them the gradient is turned round, times
    2 / (1 + exp(-10 p)) - 1 at progress p. Needs features of both domains, no labels.
    Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016.
    """

    hidden: int = Field(1024, ge=1, le=65536)
    """Units of each of the discriminator's two hidden layers."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its discriminator."""
        return _DomainAdversary(width, self.hidden)


class _DomainAdversary(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.discriminator = discriminator(width, hidden)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        factor = rising(pair.progress)
        return domain_loss(self.discriminator(reverse(pair.source.features, factor)),
                           self.discriminator(reverse(pair.target.features, factor)))
