"""Semantic segmentation: the class of each pixel."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.slices import ChosenSlices
from headstart.errors import ConfigError
from headstart.segmenters.fpn import Fpn
from headstart.segmenters.segmenter import ChosenSegmenter
from headstart.tasks.task import Task


class Semantic(Task):
    """One class for each pixel."""

    monitor: ClassVar[str] = "miou"

    segmenter: ChosenSegmenter = Field(default_factory=Fpn)
    """The architecture of the head, such as fpn; with settings as {segmenter: fpn, width: 64}."""
    slices: ChosenSlices | None = None
    """How a large picture is cut into parts, which the network sees one by one; None shows it the whole, shrunk."""

    def head(self, backbone: Backbone, classes: int) -> nn.Module:
        """Return a fresh head for the backbone's maps. Raises ConfigError for one that takes one size only."""
        if backbone.fixed_size:
            raise ConfigError(f"{backbone.spec.architecture} takes squares of one size only, and segmentation sees "
                              "whole pictures in their proportions. Choose another backbone.")
        return self.segmenter.build(backbone, classes)
