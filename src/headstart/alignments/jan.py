"""JAN: features and answers of the two domains are drawn together jointly, by a product of kernels."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.kernels import gaussians, mean_discrepancy, squared_distances
from headstart.alignments.precision import in_float32


class JAN(Alignment):
    """The squared MMD under k((f, p), (f', p')) = k_f(f, f') k_p(p, p') of features f and probabilities p.

    k_f is a mean of Gaussians around the batch's own width, k_p one Gaussian of fixed width, as in the authors' code.
    The biased quadratic form over all pairs, where the paper takes the unbiased one of linear cost. Needs features and
    logits of both domains, no labels.
    Source: Long et al., "Deep Transfer Learning with Joint Adaptation Networks", ICML 2017.
    """

    kernels: int = Field(5, ge=1, le=20)
    """Number of Gaussians on the features; the middle one is as wide as their mean squared distance in the batch."""
    ratio: float = Field(2.0, gt=1, le=100)
    """Ratio of one width to the next."""
    spread: float = Field(1.68, gt=0, le=1e6)
    """Width of the Gaussian on the probabilities, whose squared distance is 0 to 2: exp(-distance^2 / spread)."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _JointDiscrepancy(self)


class _JointDiscrepancy(nn.Module):
    def __init__(self, settings: JAN) -> None:
        super().__init__()
        self.settings = settings

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        features = torch.cat([pair.source.features, pair.target.features])
        probabilities = torch.cat([pair.source.logits, pair.target.logits]).softmax(dim=1)
        kernel = gaussians(features, number=self.settings.kernels, ratio=self.settings.ratio)
        kernel = kernel * torch.exp(-squared_distances(probabilities) / self.settings.spread)
        return mean_discrepancy(kernel, len(pair.source.features))
