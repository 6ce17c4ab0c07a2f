"""Segmenter: the contract of an architecture that tells the class of each pixel from the maps of any backbone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from headstart.backbones.backbone import Backbone
from headstart.catalog import Catalog
from headstart.part import Part
from headstart.segmenters.head import SegmentationHead


class Segmenter(Part):
    """Settings of one architecture."""

    @abstractmethod
    def build(self, backbone: Backbone, classes: int) -> SegmentationHead:
        """Return a fresh head for the backbone's maps."""


SEGMENTERS: Catalog[Segmenter] = Catalog("segmenters", Segmenter)  # type: ignore[type-abstract]
ChosenSegmenter = Annotated[Segmenter, BeforeValidator(SEGMENTERS.validated), PlainSerializer(SEGMENTERS.plain)]
