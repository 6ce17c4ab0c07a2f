"""MaskLoss: the contract of what wrong classes of pixels cost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, Field, PlainSerializer

from headstart.catalog import Catalog
from headstart.part import Part, words

# B images, C classes, H and W pixels


class MaskLoss(Part):
    """The cost of each image. A pixel whose target is IGNORED counts nothing; an image of such alone costs 0."""

    weight: float = Field(1.0, gt=0, le=1000)
    """Its share in a sum of several losses."""

    @abstractmethod
    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor) -> torch.Tensor:
        """Return float32 [B], the loss of each image, its `weight` left aside.

        logits: float32 [B, C, H, W]. targets: int64 [B, H, W], class indices or IGNORED. class_weights: float32 [C].
        """


def total(losses: Sequence[MaskLoss], logits: torch.Tensor, targets: torch.Tensor,
          class_weights: torch.Tensor) -> torch.Tensor:
    """Return float32 [B], the weighted sum of several losses. Shapes as in `MaskLoss`."""
    return torch.stack([loss.weight * loss(logits, targets, class_weights) for loss in losses]).sum(dim=0)


MASK_LOSSES: Catalog[MaskLoss] = Catalog("mask_losses", MaskLoss)  # type: ignore[type-abstract]


def _several(value: Any) -> tuple[MaskLoss, ...]:
    found = words(value)
    items = tuple(MASK_LOSSES.validated(item) for item in (found if isinstance(found, list | tuple) else [found]))
    if not items:
        raise ValueError("name one loss at least, such as cross_entropy")
    return items


ChosenMaskLosses = Annotated[tuple[MaskLoss, ...], BeforeValidator(_several),
                             PlainSerializer(lambda losses: [MASK_LOSSES.plain(loss) for loss in losses])]
"""One loss or several, by name (`cross_entropy,dice`) or with settings ({mask_loss: dice, weight: 2})."""
