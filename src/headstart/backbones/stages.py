"""Stages: cut any model into consecutive pieces, so that each parameter lies in exactly one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn


class Stage(nn.Module):
    """A piece of a model, by reference: whole modules, and parameters that belong to no whole module."""

    def __init__(self, members: Sequence[nn.Module], loose: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.loose = nn.ParameterList(loose)


def cut(model: nn.Module, stage_of: Mapping[str, int]) -> list[nn.Module]:
    """Return the stages of `model` from shallow to deep.

    stage_of: name of each parameter -> stage number, any integers in the order of the forward pass; of a parameter
    that stands in several places, the first name.
    A module without parameters (dropout, activation, pooling) goes with the one defined before it.
    """
    # By identity: a module that is shared has other names inside of its parents than in the whole.
    number_of = {id(parameter): stage_of[name] for name, parameter in model.named_parameters()}
    order = {number: position for position, number in enumerate(sorted(set(stage_of.values())))}
    members: list[list[nn.Module]] = [[] for _ in order]
    loose: list[list[nn.Parameter]] = [[] for _ in order]
    last = 0
    owners: dict[int, set[int]] = {}
    """The stages that the parameters inside each module lie in."""

    def look(module: nn.Module) -> set[int]:
        if id(module) not in owners:
            own = (order[number_of[id(parameter)]] for parameter in module.parameters(recurse=False))
            owners[id(module)] = set(own).union(*map(look, module.children()))
        return owners[id(module)]

    def place(module: nn.Module) -> None:
        nonlocal last
        found = look(module)
        if len(found) < 2:
            last = next(iter(found), last)
            members[last].append(module)
            return
        for parameter in module.parameters(recurse=False):
            loose[order[number_of[id(parameter)]]].append(parameter)
        for child in module.children():
            place(child)

    place(model)
    return [Stage(*parts) for parts in zip(members, loose, strict=True)]
