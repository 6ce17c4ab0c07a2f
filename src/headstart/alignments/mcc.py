"""MCC: answers on the target that waver between the same two classes are made to decide."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from headstart.alignments.alignment import Alignment, Pair
from headstart.alignments.precision import in_float32
from headstart.alignments.uncertainty import entropies

# T target images, C classes

TINY = 1e-12
"""Least sum of a row of the confusion: a class that no image may be of has no confusion to normalise."""


class MCC(Alignment):
    """The confusion between classes, sum over j != k of M_jk / C, of the target's probabilities at a temperature.

    M = P' W P with each row divided by its sum. P [T, C] = softmax(z / temperature). W weighs an image by 1 + exp(-H),
    H the entropy of its row of P, mean 1, without gradient. Needs the target's logits alone, and batches that hold
    most classes.
    Source: Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020.
    """

    sourceless: ClassVar[bool] = True

    temperature: float = Field(2.5, gt=0, le=1000)
    """What the logits are divided by: above 1, sure answers do not drown the confusion of the others."""

    def build(self, width: int, classes: int) -> nn.Module:
        """Return the loss, which learns nothing itself."""
        return _ClassConfusion(self.temperature)


class _ClassConfusion(nn.Module):
    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    @in_float32
    def forward(self, pair: Pair) -> torch.Tensor:
        log_p = functional.log_softmax(pair.target.logits / self.temperature, dim=1)
        p = log_p.exp()
        weights = (1 + torch.exp(-entropies(log_p))).detach()
        confusion = (p * (weights / weights.mean())[:, None]).T @ p
        shares = confusion / confusion.sum(dim=1, keepdim=True).clamp(min=TINY)
        return (shares.sum() - shares.trace()) / shares.shape[0]
