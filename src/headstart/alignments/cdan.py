"""CDAN: a discriminator of the domains that sees features and answers together, class by class."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair, View
from headstart.alignments.discriminator import discriminator, source_costs, target_costs
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse, rising
from headstart.alignments.uncertainty import entropies

# N images of a domain, D features, C classes, R values of a random projection

LARGEST_PRODUCT = 4096
"""Most values of a product of features and classes that the discriminator reads as it is (the paper's number)."""


class CDAN(Alignment):
    """DANN whose discriminator reads the outer product of features and probabilities, weighted by certainty (CDAN+E).

    Cross-entropy of the two domains, each the mean weighted by 1 + exp(-H), H being the entropy of an image's answer,
    then the mean of the two. The gradient to the features is turned round as in DANN. As in the authors' code, none
    goes through the probabilities of the product; that through H to the logits is turned round too, and none goes
    through the weights' sum. Needs features and logits of both domains, no labels.
    Source: Long et al., "Conditional Adversarial Domain Adaptation", NeurIPS 2018.
    """

    entropy: bool = True
    """Whether images count by how certain their answer is (CDAN+E); False: all the same (CDAN)."""
    hidden: int = Field(1024, ge=1, le=65536)
    """Units of each of the discriminator's two hidden layers."""
    projected: int = Field(1024, ge=1, le=65536)
    """Where features times classes are more than 4096: values of the random product that takes their place."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its discriminator."""
        return _ConditionalAdversary(width, classes, self)


class _ConditionalAdversary(nn.Module):
    def __init__(self, width: int, classes: int, settings: CDAN) -> None:
        super().__init__()
        self.settings = settings
        self.product: nn.Module
        if width * classes > LARGEST_PRODUCT:
            self.product, size = _RandomProduct(width, classes, settings.projected), settings.projected
        else:
            self.product, size = _OuterProduct(), width * classes
        self.discriminator = discriminator(size, settings.hidden)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        factor = rising(pair.progress)
        source = weighted_mean(source_costs(self.answers(pair.source, factor)), self.weights(pair.source, factor))
        target = weighted_mean(target_costs(self.answers(pair.target, factor)), self.weights(pair.target, factor))
        return (source + target) / 2

    def answers(self, view: View, factor: float) -> torch.Tensor:
        joint = self.product(reverse(view.features, factor), view.logits.softmax(dim=1).detach())
        logits: torch.Tensor = self.discriminator(joint)
        return logits

    def weights(self, view: View, factor: float) -> torch.Tensor:
        if not self.settings.entropy:
            return view.logits.new_ones(len(view.logits))
        log_p = functional.log_softmax(view.logits, dim=1)
        return 1 + torch.exp(-reverse(entropies(log_p), factor))


class _OuterProduct(nn.Module):
    def forward(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        return (probabilities[:, :, None] * features[:, None, :]).flatten(1)


class _RandomProduct(nn.Module):
    """(f A) * (p B) / sqrt(R), A and B normal and fixed: its dot products are, on average, the outer product's."""

    of_features: torch.Tensor
    of_probabilities: torch.Tensor

    def __init__(self, width: int, classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("of_features", torch.randn(width, size))
        self.register_buffer("of_probabilities", torch.randn(classes, size))

    def forward(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        joint = (features @ self.of_features) * (probabilities @ self.of_probabilities)
        return joint / joint.shape[1] ** 0.5


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean of values [N] by weights [N], through whose sum no gradient goes."""
    return (weights * values).sum() / weights.sum().detach()
