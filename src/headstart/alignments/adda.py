"""ADDA: the target's features learn to be taken for those that the source had before."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.func import functional_call

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.discriminator import discriminator, domain_loss, source_costs
from headstart.alignments.precision import in_float32


class ADDA(Alignment):
    """Cross-entropy of a domain discriminator, plus that of the target's features against the label "source".

    The first term trains the discriminator alone: the source's features are the frozen reference's, the target's are
    detached. The second trains the encoder alone: the discriminator's weights are detached. Both are minimised, in one
    step, where the paper takes turns. The head stays as it was, since nothing reads its logits. Needs a network that
    has learned the source, features of both domains, no labels. Nothing but the discriminator holds the encoder, which
    runs away at a rate that suits other alignments: take `lr_backbone` at most 1e-4, and a tenth of `lr_head`.
    Source: Tzeng et al., "Adversarial Discriminative Domain Adaptation", CVPR 2017.
    """

    uses: ClassVar[tuple[str, ...]] = ("reference",)
    learns_source: ClassVar[bool] = False

    hidden: int = Field(1024, ge=1, le=65536)
    """Units of each of the discriminator's two hidden layers."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its discriminator."""
        return _InvertedLabels(width, self.hidden)


class _InvertedLabels(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.discriminator = discriminator(width, hidden)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        assert pair.reference is not None, "the learner gives what `uses` names"
        told_apart = domain_loss(self.discriminator(pair.reference.features.detach()),
                                 self.discriminator(pair.target.features.detach()))
        fixed = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        taken_for_source = source_costs(functional_call(self.discriminator, fixed, (pair.target.features,))).mean()
        return told_apart + taken_for_source
