"""MCD: two classifiers look for target images on which they disagree, the features take the ground from them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse, rising


class MCD(Alignment):
    """Cross-entropy of a second classifier on the source, less the L1 distance of both classifiers on the target.

    The distance is the mean over classes and images of |p1 - p2|. The network's head and the second classifier widen
    it, the features narrow it: the one-step form, with gradient reversal, of the paper's three steps, as in the
    authors' code. Here the distance counts by 2 / (1 + exp(-10 p)) - 1 at progress p, which stands for the paper's
    first step: the second classifier starts from nothing, and has to learn the source before its doubt means anything.
    Re-applies the head to reversed features of the target. Needs labelled source features, target features.
    Source: Saito et al., "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation", CVPR 2018.
    """

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss with its second classifier."""
        return _Disagreement(width, classes)


class _Disagreement(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.second = nn.Linear(width, classes)

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        learned = functional.cross_entropy(self.second(pair.source.features), pair.labels)
        features = reverse(pair.target.features)
        distance = (pair.head(features).softmax(dim=1) - self.second(features).softmax(dim=1)).abs().mean()
        return learned - rising(pair.progress) * distance
