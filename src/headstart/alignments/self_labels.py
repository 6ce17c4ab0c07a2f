"""Self labels: learn the labels that the network gave the target's images itself, by the nearest class centre."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32

# T target images, C classes


class SelfLabels(Alignment):
    """Mean cross-entropy of the target's logits against its own labels, which are taken anew before each epoch.

    The labels are those of the nearest class centre, not the network's first answers; they come with the batch. The
    source is not needed. Source: Liang et al., "Do We Really Need to Access the Source Data?" (SHOT), ICML 2020,
    equation 6.
    """

    sourceless: ClassVar[bool] = True
    uses: ClassVar[tuple[str, ...]] = ("pseudo",)

    strength: float = Field(0.3, ge=0, le=1e6)
    """Factor on the loss; the paper's beta."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the module; it has nothing to learn."""
        return _SelfLabels()


class _SelfLabels(nn.Module):
    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        """Return the cross-entropy; 0 before there are labels."""
        logits = pair.target.logits
        return logits.sum() * 0 if pair.pseudo is None else functional.cross_entropy(logits, pair.pseudo)
