"""DetectorBackbone: the part of a published detector that makes its maps; the part that reads them comes along."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.state_dicts import Tensors

# B images, D features


@dataclass(frozen=True)
class Brought:
    """What a file of weights says of the part that reads the maps."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the rows that tell them."""
    tensors: Tensors
    """By the names that the detector's own library gives them."""


class DetectorBackbone(Backbone):
    """Everything of a detector up to the maps that its heads read: the trunk, and the neck unless the heads have it.

    The keys of `maps` are nominal strides: the finest map's own, and twice as much at each level after it.
    """

    brought: Brought | None = None
    """The pretrained heads; None where there are no weights."""

    @abstractmethod
    def take(self, tensors: Tensors, *, label: str) -> None:
        """Load the whole detector's tensors: its own part into the model, the rest into `brought`.

        label: of the file, for messages. Raises ConfigError where a tensor does not fit.
        """

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, D]: the mean of the coarsest map."""
        found = self.maps(images)
        return found[max(found)].mean(dim=(2, 3))


def nameless(count: int) -> tuple[str, ...]:
    """Return names for the classes of a file that tells none, such as no data set has: none is kept by name."""
    return tuple(f"label {place} of the file" for place in range(count))
