"""Pixel places: at each pixel its class, of which a segmenter gives the logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps
from headstart.data.pixel_classes import classes_of, resized_classes
from headstart.domains.places import UNKNOWN, Places
from headstart.types import IGNORED, Sample


class PixelPlaces(Places):
    """What masks and segmenters say."""

    def known(self, sample: Sample, original: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], the mask."""
        classes = resized_classes(classes_of(sample, original), size).astype(np.int64)
        return np.where(classes == IGNORED, UNKNOWN, classes)

    def expected(self, backbone: Backbone, head: nn.Module, images: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], zeros: any pixel is as good as another."""
        return np.zeros(size, np.int64)

    def answers(self, head: nn.Module, maps: Maps, images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return float32 [K, C] logits."""
        found: torch.Tensor = head(maps, images)[0][:, places[:, 0], places[:, 1]]
        return found.T

    def logits(self, answers: np.ndarray, held: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the answers as they are."""
        return answers
