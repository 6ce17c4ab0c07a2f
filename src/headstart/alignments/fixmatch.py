"""FixMatch: sure answers on target images are the labels of the same images, strongly augmented."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32


class FixMatch(Alignment):
    """Cross-entropy of the strong view's logits against the weak view's class, where its probability is high enough.

    The sum over the images that reach `threshold`, divided by all T of the batch, so that the loss grows with their
    number; 0 where there are none. No gradient goes to the weak view. Needs target images in both views, no labels.
    Source: Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020,
    equation 4.
    """

    sourceless: ClassVar[bool] = True
    uses: ClassVar[tuple[str, ...]] = ("strong",)

    threshold: float = Field(0.95, ge=0, le=1)
    """Least probability of a class that makes it a label (the paper's tau)."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _PseudoLabels(self.threshold)


class _PseudoLabels(nn.Module):
    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        assert pair.strong is not None, "the learner gives what `uses` names"
        confidence, labels = pair.target.logits.detach().softmax(dim=1).max(dim=1)
        costs = functional.cross_entropy(pair.strong.logits, labels, reduction="none")
        return (costs * (confidence >= self.threshold)).mean()
