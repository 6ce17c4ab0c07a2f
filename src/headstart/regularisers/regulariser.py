"""Regulariser: the contract of a term that is added to the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import nn

from headstart.catalog import Catalog
from headstart.part import Part

# B images, D features, C classes


@dataclass(frozen=True)
class Step:
    """What a regulariser sees of one batch."""

    network: nn.Module
    """The network in training; `network.backbone` and `network.head`."""
    images: torch.Tensor
    """float32 [B, channels, H, W], augmented, mixed and normalised."""
    features: torch.Tensor
    """float32 [B, D] of `images`, with gradients."""
    logits: torch.Tensor
    """float32 [B, C] of `features`, with gradients."""
    reference: nn.Module | None
    """A frozen copy of the network as training began; None unless a regulariser asks for it."""
    averaged: nn.Module | None
    """The moving average of the network's weights, frozen; None without one."""
    importance: Mapping[str, torch.Tensor] | None = None
    """How much the answers of the start hang on each weight of the backbone that trains, by name, each of the shape of
    its parameter; None unless a regulariser asks for it."""
    several: bool = False
    """Whether an image can have several labels: sigmoids instead of a softmax."""


class Regulariser(Part):
    """A penalty on one batch; the learner adds it to the mean loss."""

    uses: ClassVar[tuple[str, ...]] = ()
    """What it needs of a Step besides the batch: `reference`, `averaged`, `importance`."""
    replaces_decay: ClassVar[bool] = False
    """Whether the optimizer's weight decay on the backbone is switched off, because this one pulls elsewhere."""

    strength: float = Field(0.1, ge=0, le=1e6)
    """Factor on the penalty."""

    @abstractmethod
    def penalty(self, step: Step) -> torch.Tensor:
        """Return a float32 scalar, `strength` included."""


REGULARISERS: Catalog[Regulariser] = Catalog("regularisers", Regulariser)  # type: ignore[type-abstract]
ChosenRegulariser = Annotated[Regulariser, BeforeValidator(REGULARISERS.validated),
                              PlainSerializer(REGULARISERS.plain)]
