"""Alignment: the contract of a loss that draws two domains together, computed on a batch of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import nn

from headstart.catalog import Catalog
from headstart.part import Part, words

# B source images, T target images, D features, C classes


@dataclass(frozen=True)
class View:
    """What the network says of some images, with gradients."""

    features: torch.Tensor
    """float32 [B, D], what the head reads."""
    logits: torch.Tensor
    """float32 [B, C] of `features`."""


@dataclass(frozen=True)
class Pair:
    """A batch of each domain. There is no place for a label of the target, on purpose."""

    source: View
    """Of a training without the source: None, which only alignments that are `sourceless` meet."""
    labels: torch.Tensor
    """int64 [B] of the source images."""
    target: View
    head: nn.Module
    """The classifier: features [*, D] -> logits [*, C]."""
    progress: float
    """Share of all steps that is done, 0..1: schedules are functions of it."""
    strong: View | None = None
    """The target images, strongly augmented; None unless `uses` names `strong`."""
    reference: View | None = None
    """The source images as a frozen copy of the network sees them, as it was when training began; None unless `uses`
    names `reference`."""
    pseudo: torch.Tensor | None = None
    """int64 [T]: labels that the network gave the target's images itself, before this epoch; None unless `uses` names
    `pseudo`."""


class Alignment(Part):
    """Settings of a loss; `build` makes the module that computes it and holds what it has to learn itself."""

    uses: ClassVar[tuple[str, ...]] = ()
    """What it needs of a Pair besides the two batches: `strong`, `reference`, `pseudo`."""
    sourceless: ClassVar[bool] = False
    """Whether it reads nothing of the source, so that there need be none."""
    learns_source: ClassVar[bool] = True
    """Whether the loss on the source's labels is added."""

    strength: float = Field(1.0, ge=0, le=1e6)
    """Factor on the loss, beside that on the source's labels."""

    @abstractmethod
    def build(self, width: int, classes: int) -> nn.Module:
        """Return a fresh module: forward(pair: Pair) -> float32 scalar, without `strength`.

        width: D. classes: C. Its parameters are drawn from PyTorch's generator, and trained with the network's, by the
        same optimizer: who has to work against the network turns gradients round.
        """


ALIGNMENTS: Catalog[Alignment] = Catalog("alignments", Alignment)  # type: ignore[type-abstract]


def _several(value: Any) -> tuple[Alignment, ...]:
    found = words(value)
    items = tuple(ALIGNMENTS.validated(item) for item in (found if isinstance(found, list | tuple) else [found]))
    if not items:
        raise ValueError("name one alignment at least, such as cdan")
    return items


ChosenAlignments = Annotated[tuple[Alignment, ...], BeforeValidator(_several),
                             PlainSerializer(lambda parts: [ALIGNMENTS.plain(part) for part in parts])]
"""One alignment or several, by name (`cdan,mcc`) or with settings ({alignment: cdan, strength: 0.5})."""
