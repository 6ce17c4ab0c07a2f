"""BSP: DANN that keeps the largest singular values of the features small, so that the smaller ones can tell classes."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.discriminator import discriminator, domain_loss
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse, rising

# N images of a domain, D features


class BSP(Alignment):
    """DANN's loss plus `spectral` times the sum of squares of each domain's `largest` singular values of features.

    The penalty is on the features as they are, [N, D] of each batch: not centred, not turned round, not scheduled.
    Needs features of both domains, no labels.
    Source: Chen et al., "Transferability vs. Discriminability: Batch Spectral Penalization for Adversarial Domain
    Adaptation", ICML 2019.
    """

    spectral: float = Field(1e-4, ge=0, le=1e6)
    """Factor on the squares of the singular values (the paper's beta)."""
    largest: int = Field(1, ge=1, le=1000)
    """How many of the singular values pay (the paper's k)."""
    hidden: int = Field(1024, ge=1, le=65536)
    """Units of each of the discriminator's two hidden layers."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its discriminator."""
        return _SpectralAdversary(width, self)


class _SpectralAdversary(nn.Module):
    def __init__(self, width: int, settings: BSP) -> None:
        super().__init__()
        self.settings = settings
        self.discriminator = discriminator(width, settings.hidden)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        source, target, factor = pair.source.features, pair.target.features, rising(pair.progress)
        adversarial = domain_loss(self.discriminator(reverse(source, factor)),
                                  self.discriminator(reverse(target, factor)))
        penalty = sum_of_squares(source, self.settings.largest) + sum_of_squares(target, self.settings.largest)
        return adversarial + self.settings.spectral * penalty


def sum_of_squares(features: torch.Tensor, largest: int) -> torch.Tensor:
    """Return that of the largest singular values of features [N, D]; of all where there are fewer."""
    return torch.linalg.svdvals(features)[:largest].square().sum()
