"""DAN: the means of the two domains' features under a family of Gaussian kernels are drawn together."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.kernels import gaussians, mean_discrepancy
from headstart.alignments.precision import in_float32


class DAN(Alignment):
    """mean k(s, s') + mean k(t, t') - 2 mean k(s, t), the squared MMD of the features; k is a mean of Gaussians.

    The biased quadratic form over all pairs. Every kernel weighs the same, where the paper chooses the weights for the
    power of the test. Needs features of both domains, the larger the batches the better, and no labels.
    Source: Long et al., "Learning Transferable Features with Deep Adaptation Networks", ICML 2015.
    """

    kernels: int = Field(5, ge=1, le=20)
    """Number of Gaussians; the middle one is as wide as the mean squared distance in the joint batch."""
    ratio: float = Field(2.0, gt=1, le=100)
    """Ratio of one width to the next."""
    logits: bool = False
    """Whether the MMD of the logits is added to that of the features."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _MeanDiscrepancy(self)


class _MeanDiscrepancy(nn.Module):
    def __init__(self, settings: DAN) -> None:
        super().__init__()
        self.settings = settings

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        found = self.discrepancy(pair.source.features, pair.target.features)
        return found + self.discrepancy(pair.source.logits, pair.target.logits) if self.settings.logits else found

    def discrepancy(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        points = torch.cat([source, target])
        kernel = gaussians(points, number=self.settings.kernels, ratio=self.settings.ratio)
        return mean_discrepancy(kernel, len(source))
