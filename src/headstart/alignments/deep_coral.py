"""Deep CORAL: the covariances of the two domains' features are drawn together."""

from __future__ import annotations

import torch
from torch import nn

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32

# N images of a domain, D features


class DeepCORAL(Alignment):
    """|cov(source) - cov(target)|^2 / (4 D^2), the squared Frobenius distance of the features' covariances.

    Means do not count. A batch of one image has a covariance of zero. Needs features of both domains, no labels.
    The factor makes the loss small: the authors choose `strength` such that it ends as large as that of the labels.
    Source: Sun & Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV workshops 2016.
    """

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _CovarianceDistance()


class _CovarianceDistance(nn.Module):
    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        distance = covariance(pair.source.features) - covariance(pair.target.features)
        return distance.square().sum() / (4 * pair.source.features.shape[1] ** 2)


def covariance(features: torch.Tensor) -> torch.Tensor:
    """Return [D, D] of features [N, D], divided by N - 1; zeros for one image."""
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(len(features) - 1, 1)
