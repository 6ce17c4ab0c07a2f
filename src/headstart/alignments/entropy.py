"""Entropy: be sure of each target image."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.uncertainty import entropies

# T target images, C classes


class Entropy(Alignment):
    """Mean entropy of the softmax of the target's logits, in nats. The source is not needed.

    Alone it may push all images into one class: keep the classifier, and train little (norm-only, few epochs).
    Source: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021, equation 1; Grandvalet &
    Bengio, "Semi-supervised Learning by Entropy Minimization", NeurIPS 2004.
    """

    sourceless: ClassVar[bool] = True

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the module; it has nothing to learn."""
        return _Entropy()


class _Entropy(nn.Module):
    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        """Return the mean entropy."""
        return entropies(functional.log_softmax(pair.target.logits, dim=1)).mean()
