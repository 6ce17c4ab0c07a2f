"""MME: the head draws its classes towards the target, the target's features gather around them."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.reversal import reverse
from headstart.alignments.uncertainty import entropies


class MME(Alignment):
    """-mean H of the target's answers, H being entropy in nats: the head raises H, the features lower it.

    Re-applies the head to features whose gradient is turned round, times 1 at all times. The paper's head compares
    directions at a temperature of 0.05, and learns from a few labels of the target besides; here it is the network's
    own, and learns from the source's. Needs the target's features alone.
    Source: Saito et al., "Semi-Supervised Domain Adaptation via Minimax Entropy", ICCV 2019.
    """

    sourceless: ClassVar[bool] = True

    strength: float = Field(0.1, ge=0, le=1e6)
    """Factor on the loss, beside that on the source's labels (the paper's lambda)."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _MinimaxEntropy()


class _MinimaxEntropy(nn.Module):
    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        log_p = functional.log_softmax(pair.head(reverse(pair.target.features)), dim=1)
        return -entropies(log_p).mean()
