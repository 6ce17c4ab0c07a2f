"""Detector: the contract of an architecture that finds boxes on the maps of any backbone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from headstart.backbones.backbone import Backbone
from headstart.catalog import Catalog
from headstart.detectors.head import DetectionHead
from headstart.part import Part


class Detector(Part):
    """Settings of one architecture."""

    confidence: float = Field(0.02, gt=0, lt=1)
    """Boxes with a lower score are not told. Average precision wants them low; the thresholds of a run cut later."""
    overlap: float = Field(0.6, gt=0, lt=1)
    """Of two boxes of a class with a larger intersection over union, the surer one stays (non-maximum suppression)."""
    most: int = Field(100, ge=1, le=10_000)
    """Boxes at most for an image."""

    @abstractmethod
    def build(self, backbone: Backbone, classes: int) -> DetectionHead:
        """Return a fresh head for the backbone's maps. Raises ConfigError where they don't fit."""


DETECTORS: Catalog[Detector] = Catalog("detectors", Detector)  # type: ignore[type-abstract]
ChosenDetector = Annotated[Detector, BeforeValidator(DETECTORS.validated), PlainSerializer(DETECTORS.plain)]
