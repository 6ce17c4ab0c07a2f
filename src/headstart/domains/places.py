"""Places: the contract of what is known at a place of a picture, and of what a model says there."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps
from headstart.types import Sample

# h and w of a picture, H and W of its canvas, K places of a picture, P of a part, C answers: classes, and what is none

UNKNOWN = -1
"""In a map of classes: nothing is known of this pixel."""


class Places(ABC):
    """What one task says of places."""

    ground: int | None = None
    """The class of what is none, whose places must not drown the others; None where every class counts."""

    @abstractmethod
    def known(self, sample: Sample, original: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], the class at each pixel of an image of the source, or UNKNOWN.

        original, size: height and width of the picture in its file, and as it is shown.
        """

    @abstractmethod
    def expected(self, backbone: Backbone, head: nn.Module, images: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], the class that the start guesses at each pixel of an image of the target, which says
        where to look; any one where there is no ground. images: float32 [1, channels, H, W].
        """

    @abstractmethod
    def answers(self, head: nn.Module, maps: Maps, images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return float32 [K, C], what a model says at places int64 [K, 2] of one image: rows and columns."""

    @abstractmethod
    def logits(self, answers: np.ndarray, held: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return float32 [P, C] from answers. held: those on the source's validation images, whose labels are known."""
