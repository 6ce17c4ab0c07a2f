"""Adapter: the few weights that parameter-efficient tuning trains beside a frozen backbone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import nn

from headstart import seeds
from headstart.backbones.backbone import Backbone, hash_tensors
from headstart.errors import ConfigError, IntegrityError, ResourceError, nearest
from headstart.part import Part
from headstart.sealed import under

PARAMETERS = re.compile(r"\b(?:lora_|ia3_)")
"""Marks the parameters of an adapter among those of the network that it was put into; the library's own prefixes."""
BASE = ".base_layer."
"""Where the library puts the layer that an adapter is beside."""
PREFIX = "adapter."
"""Stands before the names of an adapter's tensors in a file."""

Kind = Literal["lora", "dora", "ia3"]


class Recipe(Part):
    """What kind of adapter lies beside which layers."""

    kind: Kind
    layers: tuple[str, ...]
    """Full names of the layers, as `Backbone.named_modules` has them."""
    rank: int = Field(1, ge=1)
    alpha: float = Field(1, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)


@dataclass(frozen=True)
class Adapter:
    """A trained adapter, apart from its backbone."""

    recipe: Recipe
    tensors: dict[str, torch.Tensor]
    backbone_sha256: str
    """`weights_hash` of the backbone that it belongs to, as it is without the adapter."""
    merged_sha256: str
    """`weights_hash` of that backbone with the adapter merged into its weights."""
    HEADER: ClassVar[tuple[str, ...]] = ("adapter", "backbone_sha256", "merged_sha256")
    """What it adds to the header of a file."""

    def header(self) -> dict[str, str]:
        """Return what the header of a file says of the adapter."""
        return {"adapter": self.recipe.model_dump_json(), "backbone_sha256": self.backbone_sha256,
                "merged_sha256": self.merged_sha256}

    def named_tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors under the names that they have in a file."""
        return {PREFIX + name: tensor for name, tensor in self.tensors.items()}

    @classmethod
    def of(cls, header: Mapping[str, str], tensors: Mapping[str, torch.Tensor], *, where: str) -> Self:
        """Return the adapter in a file's header and tensors."""
        recipe = Recipe.parse(json.loads(header["adapter"]), where=f"{where}: adapter")
        return cls(recipe, under(PREFIX, tensors), header["backbone_sha256"], header["merged_sha256"])


def adaptable(backbone: Backbone, kind: Kind, *, wanted: tuple[str, ...] = (), rank: int = 0) -> tuple[str, ...]:
    """Return the names of the layers that can have an adapter: linear ones, and plain convolutions.

    wanted: parts of names, of which each layer must have one; without, all but the stem's and those that the adapter
    would not be smaller than. Raises ConfigError where none is left; ResourceError where peft is missing.
    """
    _injection()
    able = {name: layer for name, layer in _called(backbone).items() if _fits(layer, kind)}
    where = f"{kind}: {backbone.spec.architecture}"
    for part in wanted:
        if not any(part in name for name in able):
            raise ConfigError(f'{where} has no layer with "{part}" in its name that can have an adapter.'
                              + nearest(part, able))
    if wanted:
        return tuple(name for name in able if any(part in name for part in wanted))
    if not able:
        raise ConfigError(f"{where} has no layer that can have an adapter: its linear layers and convolutions compute "
                          "with weights that they change first. Use finetune, or another backbone.")
    stem = {id(module) for module in backbone.stages()[0].modules()}
    chosen = tuple(name for name, layer in able.items() if id(layer) not in stem and _saves(layer, rank))
    if not chosen:
        raise ConfigError(f"{where} has no layer in which an adapter of rank {rank} is smaller than the layer. Lower "
                          "the rank, or use finetune.")
    return chosen


def attach(backbone: Backbone, recipe: Recipe, *, seed: int) -> Backbone:
    """Return a copy of the backbone with a fresh adapter, which changes no output yet."""
    injection = _injection()
    adapted = copy.deepcopy(backbone)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeds.derive(seed, "adapter"))
        injection.inject(adapted, recipe.layers, kind=recipe.kind, rank=recipe.rank, alpha=recipe.alpha,
                         dropout=recipe.dropout)
    return adapted


def detach(adapted: Backbone, recipe: Recipe) -> tuple[Backbone, Adapter]:
    """Return a copy of the plain backbone with the adapter merged into its weights, and the adapter itself."""
    state = adapted.state_dict()
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items() if PARAMETERS.search(name)}
    before = hash_tensors({name.replace(BASE, "."): tensor for name, tensor in state.items() if name not in tensors})
    merged = copy.deepcopy(adapted)
    _injection().merge(merged)
    merged.requires_grad_(True)
    return merged, Adapter(recipe, tensors, before, merged.weights_hash())


def put_on(backbone: Backbone, adapter: Adapter, *, where: str) -> tuple[Backbone, Adapter]:
    """Return a copy of `backbone` with the adapter merged into its weights, and the adapter as it lies in there.

    where: the file of the adapter, for messages. Raises IntegrityError where it belongs to another backbone.
    """
    found = backbone.weights_hash()
    if found != adapter.backbone_sha256:
        raise IntegrityError(f"{where}: the adapter belongs to a backbone whose weights have the hash "
                             f"{adapter.backbone_sha256}; those of the {backbone.spec.architecture} that it is put on "
                             f"have {found}. Give the backbone that it was trained on, as it was before.")
    adapted = attach(backbone, adapter.recipe, seed=0)
    expected = {name for name in adapted.state_dict() if PARAMETERS.search(name)}
    if expected != set(adapter.tensors):
        raise IntegrityError(f"{where}: the adapter's tensors are not those of its layers. Restore it from a copy.")
    adapted.load_state_dict(adapter.tensors, strict=False)
    return detach(adapted, adapter.recipe)


def adapter_parameters(backbone: Backbone) -> int:
    """Return how many parameters the adapters in a backbone have; 0 where there is none."""
    return sum(parameter.numel() for name, parameter in backbone.named_parameters() if PARAMETERS.search(name))


def adapter_megabytes(backbone: Backbone) -> float | None:
    """Return the size of the adapter in a backbone, in units of 10^6 bytes; None where there is none."""
    size = sum(parameter.numel() * parameter.element_size() for name, parameter in backbone.named_parameters()
               if PARAMETERS.search(name))
    return size / 1e6 if size else None


def said(adapted: Backbone) -> str:
    """Return a sentence on how much of the backbone trains."""
    trained, whole = adapter_parameters(adapted), sum(p.numel() for p in adapted.parameters())
    total = whole - trained
    return (f"{trained:,} parameters are trained beside the {total:,} of the backbone ({trained / total:.2%}); "
            f"the adapter is {adapter_megabytes(adapted):.2f} MB")


def _called(backbone: Backbone) -> dict[str, nn.Module]:
    """Return the layers that the forward pass calls as modules, by name.

    Some attention layers read the weights of a layer and never call it: an adapter there would have no effect.
    """
    called: set[str] = set()
    probe = copy.deepcopy(backbone).eval()
    for name, module in probe.named_modules():
        module.register_forward_hook(lambda _m, _i, _o, name=name: called.add(name))
    preprocessing = backbone.spec.preprocessing
    with torch.no_grad():
        probe(torch.zeros(1, preprocessing.channels, preprocessing.size, preprocessing.size))
    return {name: module for name, module in backbone.named_modules() if name in called}


def _fits(layer: nn.Module, kind: Kind) -> bool:
    """Return whether an adapter can be put beside the layer and merged into it.

    Classes derived from these compute in ways of their own (standardised weights, padding made to measure).
    """
    if type(layer) is nn.Linear:
        return kind != "dora" or _has_directions(layer)
    if type(layer) is not nn.Conv2d:
        return False
    if kind == "ia3":
        return True
    plain = layer.groups == 1 and layer.padding_mode == "zeros" and layer.dilation == (1, 1)
    return plain and (kind != "dora" or _has_directions(layer))


def _has_directions(layer: nn.Linear | nn.Conv2d) -> bool:
    """Return whether no unit has weights of zero: DoRA divides by their length."""
    return bool((layer.weight.flatten(1).norm(dim=1) > 0).all())


def _saves(layer: nn.Module, rank: int) -> bool:
    """Return whether two factors of this rank have fewer weights than the layer."""
    assert isinstance(layer, nn.Linear | nn.Conv2d), "others do not fit"
    return rank * (layer.weight[0].numel() + len(layer.weight)) < layer.weight.numel()


def _injection() -> ModuleType:
    try:
        from headstart import injection
    except ImportError as error:
        raise ResourceError("adapters need the package peft, which is not here or can't be imported "
                            f"({error}). Install it with: pip install 'headstart[adapters]'.") from error
    return injection
