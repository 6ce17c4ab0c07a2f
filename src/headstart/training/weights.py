"""Weights: the parameters and buffers of a model as one set of named tensors, to compute with."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence

import torch

from headstart.errors import ConfigError, listed
from headstart.model import Model
from headstart.sealed import under

# C classes

Weights = dict[str, torch.Tensor]


def weights_of(model: Model) -> Weights:
    """Return every parameter and buffer of backbone and head by name: the model's own tensors, without gradients."""
    return {prefix + name: tensor.detach() for prefix, part in (("backbone.", model.backbone), ("head.", model.head))
            for name, tensor in part.state_dict().items()}


def with_weights(model: Model, weights: Mapping[str, torch.Tensor]) -> Model:
    """Return a copy of `model` in eval mode that has `weights`, and is not calibrated; `model` is left as it was."""
    backbone, head = copy.deepcopy(model.backbone), copy.deepcopy(model.head)
    for prefix, part in (("backbone.", backbone), ("head.", head)):
        part.load_state_dict(under(prefix, weights))
        part.eval()
    return dataclasses.replace(model, backbone=backbone, head=head, temperature=1.0)


def ordered(model: Model, classes: Sequence[str]) -> Model:
    """Return `model` with its classes, the same by name, in the order of `classes`."""
    if model.classes == tuple(classes):
        return model
    rows = torch.tensor([model.classes.index(name) for name in classes])
    weights = {name: tensor[rows] if name.startswith("head.") else tensor
               for name, tensor in weights_of(model).items()}
    return dataclasses.replace(with_weights(model, weights), classes=tuple(classes))


def require_alike(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Raise ConfigError unless both sets have the same names and shapes. what: of which two models they are."""
    def shape(of: Mapping[str, torch.Tensor], name: str) -> str:
        return str(tuple(of[name].shape)) if name in of else "absent"

    differing = [f"{name}: {shape(a, name)} and {shape(b, name)}" for name in sorted({*a, *b})
                 if shape(a, name) != shape(b, name)]
    if differing:
        raise ConfigError(f"{what}: the weights can't be averaged, {len(differing)} of them have other names or "
                          f"shapes:\n{listed(differing)}\nTake models of one architecture with the same classes.")
