"""TorchvisionBackbone: the door to torchvision's classifiers as pooled vectors, maps and stages."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torchvision.models import MaxVit, SwinTransformer, VisionTransformer, get_model, get_model_weights

from headstart.backbones import hub
from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.backbones.channels import adapt_kernel
from headstart.backbones.stages import cut
from headstart.errors import ResourceError

# Chains of blocks that torchvision nests in one attribute: their children are the stages.
CHAINS = ("features", "trunk_output", "layers", "blocks", "encoder")
# What follows the last map. VGG's and AlexNet's average pool would enlarge it.
AFTER = ("avgpool", "dropout", "permute", "flatten", "classifier", "heads", "head", "fc")


class TorchvisionBackbone(Backbone):
    """Any torchvision image classifier, its classifier taken off."""

    def __init__(self, model: nn.Module, spec: BackboneSpec) -> None:
        super().__init__()
        self.left_off = ("AuxLogits.", "aux1.", "aux2.")
        self.classifier_key, classifier, self.width = _behead(model)
        self.keep_classifier(classifier)
        self.model = model
        self.spec = spec
        self.fixed_size = isinstance(model, (VisionTransformer, MaxVit))

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, D]."""
        vectors: torch.Tensor = self.model(images)
        return vectors

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, C, H/stride, W/stride]}, finest first."""
        seen: list[torch.Tensor] = []
        blocks = [self.model.get_submodule(name) for name in _blocks(self.model)]
        hooks = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in blocks]
        try:
            self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        found = [_as_map(output, self.model, images.shape[-1]) for output in seen]
        maps = dict(item for item in found if item is not None)  # the last of each stride
        return {stride: maps[stride] for stride in sorted(maps)}

    def stages(self) -> list[nn.Module]:
        """Return the blocks; a parameter outside them goes with the nearest one before it."""
        blocks = _blocks(self.model)
        number = 0
        stage_of = {}
        for name, _ in self.model.named_parameters():
            owner = next((i for i, block in enumerate(blocks) if name.startswith(block + ".")), None)
            number = number if owner is None else owner
            stage_of[name] = number
        return cut(self.model, stage_of)


def create(name: str, member: str, *, channels: int, pretrained: bool) -> nn.Module:
    """Return a torchvision classifier: fresh, or with the weights called `member` of its enum.

    Raises ResourceError where the weights are neither here nor to be had.
    """
    weights: Any = get_model_weights(name)[member]
    # Its own change of normalisation would need RGB; the record's preprocessing has it instead.
    settings = {"aux_logits": False, "transform_input": False} if name in ("googlenet", "inception_v3") else {}
    if not pretrained:
        settings |= {"init_weights": True} if settings else {}
        return with_channels(get_model(name, weights=None, **settings), channels)
    with reaching(weights):
        return with_channels(get_model(name, weights=weights, progress=False, **settings), channels)


@contextlib.contextmanager
def reaching(weights: Any) -> Iterator[None]:
    """Let the block take a member of a weights enum from torch's cache or its hub.

    Raises ResourceError where it is neither here nor to be had.
    """
    if hub.offline() and not hub.torch_cached(weights.url.rpartition("/")[2]):
        raise ResourceError(f"the weights {weights} are not here, and HF_HUB_OFFLINE forbids to download them.")
    try:
        yield
    except OSError as error:
        raise ResourceError(f"the weights {weights} are not here and could not be downloaded ({error}).") from error


def with_channels(model: nn.Module, channels: int) -> nn.Module:
    """Return the model with its first convolution adapted, in place."""
    name, first = next((name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d))
    if first.in_channels == channels:
        return model
    options: dict[str, Any] = {key: getattr(first, key) for key in (
        "out_channels", "kernel_size", "stride", "padding", "dilation", "padding_mode")}
    other = nn.Conv2d(channels, bias=first.bias is not None, **options)
    other.load_state_dict(first.state_dict() | {"weight": adapt_kernel(first.weight.data, channels)})
    model.set_submodule(name, other)
    return model


def _behead(model: nn.Module) -> tuple[str, nn.Linear | None, int]:
    """Take the classifier off; return where it was, the layer, and the length of the vector that it read."""
    linear = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:  # SqueezeNet classifies each position by a convolution, then averages
        width = next(layer.in_channels for layer in model.classifier.modules()  # type: ignore[union-attr]
                     if isinstance(layer, nn.Conv2d))
        model.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1))
        return "classifier", None, width
    name, layer = linear[-1]
    model.set_submodule(name, nn.Identity())
    before = list(model.get_submodule(name.rpartition(".")[0]).children())[:-1] if "." in name else []
    if before and isinstance(before[-1], nn.Dropout):
        before[-1].p = 0.0  # the head that is put on the vector has its own
    return name, layer, layer.in_features


def _blocks(model: nn.Module, prefix: str = "") -> list[str]:
    """Return the names of the blocks in the order of the forward pass."""
    names: list[str] = []
    for name, child in model.named_children():
        if name in CHAINS:
            names += _blocks(child, f"{prefix}{name}.")
        elif name not in AFTER:
            names.append(prefix + name)
    return names


def _as_map(output: torch.Tensor, model: nn.Module, side: int) -> tuple[int, torch.Tensor] | None:
    """Return (stride, [B, C, H, W]) from what a block returned, or None if it is no map."""
    if isinstance(model, VisionTransformer):
        if output.ndim != 3:
            return None
        tokens, edge = output[:, 1:], side // model.patch_size  # without the class token
        return model.patch_size, tokens.transpose(1, 2).reshape(len(output), -1, edge, edge)
    if output.ndim != 4:
        return None
    grid = output.permute(0, 3, 1, 2) if isinstance(model, SwinTransformer) else output
    return 2 ** round(math.log2(side / grid.shape[-1])), grid
