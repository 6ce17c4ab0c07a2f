"""Information maximisation: answers on the target are to be sure, image by image, and diverse over the batch."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.uncertainty import entropies

# T target images, C classes


class InformationMaximisation(Alignment):
    """mean H(p) - H(mean p) of the target's probabilities p, H being entropy in nats: -ln C at best, 0 at worst.

    SHOT's loss without its pseudo-labels. SHOT has no source images and freezes the head; here the source's labels are
    learned beside it. It takes classes for equally frequent. Needs the target's logits alone, and batches that hold
    most classes.
    Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020.
    """

    sourceless: ClassVar[bool] = True

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _NegativeInformation()


class _NegativeInformation(nn.Module):
    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        log_p = functional.log_softmax(pair.target.logits, dim=1)
        log_mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
        return (log_mean.exp() * log_mean).sum() + entropies(log_p).mean()
