"""Detection: where in an image the objects are, and of which class."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.slices import ChosenSlices
from headstart.detectors.detector import ChosenDetector
from headstart.detectors.yolox import Yolox
from headstart.errors import ConfigError
from headstart.tasks.task import Task


class Detection(Task):
    """Boxes with a class and a score each."""

    monitor: ClassVar[str] = "ap"

    detector: ChosenDetector = Field(default_factory=Yolox)
    """The architecture of the head, such as fcos; with settings as {detector: yolox, width: 0.5}."""
    slices: ChosenSlices | None = None
    """How a large picture is cut into parts, which the network sees one by one; None shows it the whole, shrunk."""
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    """The score of each class from which a box is shown, chosen on validation; empty before that."""

    def head(self, backbone: Backbone, classes: int) -> nn.Module:
        """Return a fresh head for the backbone's maps. Raises ConfigError for one that takes one size only."""
        if backbone.fixed_size:
            raise ConfigError(f"{backbone.spec.architecture} takes squares of one size only, and a detector sees whole "
                              "pictures in their proportions. Choose another backbone.")
        return self.detector.build(backbone, classes)
