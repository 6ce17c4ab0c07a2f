"""Backbone: a pretrained feature extractor that knows its record, its stages, and how to stay frozen."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import torch
from torch import nn

from headstart.backbones import drop_path
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError

__all__ = ["Backbone", "BackboneSpec", "Source"]

# B images, D features, C channels of a map, H and W pixels


class Backbone(nn.Module, ABC):
    """A feature extractor. images: float32 [B, channels, H, W], preprocessed by `spec.preprocessing`."""

    spec: BackboneSpec
    width: int
    """D, the length of the pooled vector."""
    model: nn.Module
    """The model as its library builds it, without its classifier; files of weights use its names."""
    classifier_key: str = ""
    """Where the classifier was: the prefix of its names in files of weights."""
    left_off: tuple[str, ...] = ()
    """Prefixes of other names in the library's files that the backbone has no place for (auxiliary classifiers)."""
    fixed_size: bool = False
    """Whether images of another size than the record's are refused by the architecture."""
    notes: tuple[str, ...] = ()
    """What the user should be told of how the weights were read."""
    _kept: tuple[nn.Module, ...] = ()
    _frozen: int = 0

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

    @property
    def classifier(self) -> nn.Module | None:
        """The pretrained classifier, pooled [B, D] -> logits, if it came along with the weights.

        It is kept beside the model, not in it: not trained, counted, hashed, saved or moved to another device.
        """
        return self._kept[0] if self._kept else None

    def keep_classifier(self, classifier: nn.Module | None) -> None:
        """Set `classifier`. In a tuple, which nn.Module does not register."""
        self._kept = () if classifier is None else (classifier.eval().requires_grad_(False),)

    def freeze(self, stages: int | Literal["all"] = "all") -> Self:
        """Freeze the first `stages` stages and free the others; 0 frees all. Returns the backbone itself.

        A frozen stage has no gradients and computes in eval mode through every later `train()`.
        Raises ConfigError where there are fewer stages.
        """
        parts = self.stages()
        count = len(parts) if stages == "all" else stages
        if not 0 <= count <= len(parts):
            raise ConfigError(f"{self.spec.architecture} has {len(parts)} stages; can't freeze {stages}. "
                              f'Give a number from 0 to {len(parts)}, or "all".')
        self._frozen = count
        for position, part in enumerate(parts):
            part.requires_grad_(position >= count)
        super().train(self.training)
        return self._rest(parts) if self.training and count else self

    @property
    def frozen_stages(self) -> int:
        """How many stages, from the stem on, are frozen."""
        return self._frozen

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for frozen stages."""
        super().train(mode)
        return self._rest(self.stages()) if mode and self._frozen else self

    def _rest(self, parts: Sequence[nn.Module]) -> Self:
        """Switch the frozen ones of all stages to eval mode."""
        # BatchNorm keeps its statistics only in eval mode; requires_grad does not stop it.
        frozen = [self] if self._frozen == len(parts) else parts[:self._frozen]
        for module in (inner for part in frozen for inner in part.modules()):
            module.training = False
        return self

    def set_drop_path(self, rate: float) -> int:
        """Let residual branches be left out in training mode, each image for itself, and return how many branches.

        The chance is 0 in the first residual block and rises linearly to `rate` (0 <= rate < 1) in the deepest one; a
        branch that stays counts for 1 / (1 - chance). 0 leaves nothing out, whatever the library's own default is.
        Returns 0 where that is so, or where the architecture has no residual branch to leave out. Frozen stages, eval
        mode and the state dict are untouched. Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
        """
        assert 0 <= rate < 1, rate
        settings = self.spec.preprocessing
        pixels = settings.channels * settings.size**2
        like = next(self.parameters())
        image = torch.linspace(-1, 1, pixels, device=like.device, dtype=like.dtype)
        return drop_path.set_rates(self, image.view(1, settings.channels, settings.size, settings.size), rate)

    def weights_hash(self) -> str:
        """Return a hex SHA-256 over the names, shapes and bytes of all parameters and buffers."""
        return hash_tensors(self.state_dict())


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return a hex SHA-256 over the names, types, shapes and bytes of named tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {data.dtype} {tuple(data.shape)}\n".encode())
        digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
