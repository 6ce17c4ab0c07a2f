"""Scope: which parameters of the backbone a training may change."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator
from torch import nn

from headstart.adapter import PARAMETERS
from headstart.backbones.backbone import Backbone
from headstart.errors import ConfigError

WORDS = ("all", "head", "last-N", "norm-only", "bias-only")
NORMS = re.compile(r"norm", re.IGNORECASE)


def _known(scope: str) -> str:
    if scope == "adapter":
        raise ValueError("scope adapter belongs to lora, dora and ia3, which have one: use --method lora.")
    if (scope in WORDS and scope != "last-N") or re.fullmatch(r"last-[1-9]\d*", scope):
        return scope
    raise ValueError(f'"{scope}" is no scope. Write one of {", ".join(WORDS)}, such as last-2.')


Scope = Annotated[str, AfterValidator(_known)]


def deepest(scope: str, backbone: Backbone, *, thawed: int | None = None) -> int:
    """Return how many of the backbone's deepest stages may change, no more than `thawed`.

    Raises ConfigError where `last-N` asks for more stages than there are.
    """
    return _deepest(scope, backbone, len(backbone.stages()), thawed)


def _deepest(scope: str, backbone: Backbone, count: int, thawed: int | None) -> int:
    wanted = {"head": 0}.get(scope, int(scope[5:]) if scope.startswith("last-") else count)
    if wanted > count:
        raise ConfigError(f"scope {scope}: {backbone.spec.architecture} has {count} stages. Give last-1 to "
                          f"last-{count}, `head` or `all`.")
    return wanted if thawed is None else min(wanted, thawed)


def apply(scope: str, backbone: Backbone, *, thawed: int | None = None) -> None:
    """Set which parameters of the backbone have gradients, and which stages rest in eval mode."""
    count = len(backbone.stages())
    backbone.freeze(count - _deepest(scope, backbone, count, thawed))
    chosen = {"norm-only": _norms, "bias-only": _biases, "adapter": _adapters}.get(scope)
    if chosen is not None:
        names = chosen(backbone)
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name in names)


def _norms(backbone: Backbone) -> set[str]:
    """Return the names of the scales and shifts of every normalisation (BatchNorm, LayerNorm, GroupNorm ...)."""
    return {f"{prefix}.{name}" for prefix, module in backbone.named_modules() if is_norm(module)
            for name, _ in module.named_parameters(recurse=False)}


def is_norm(module: nn.Module) -> bool:
    """Return whether the module normalises; libraries name theirs so (`BatchNorm2d`, `LayerNorm2d`, `RmsNorm`)."""
    return bool(NORMS.search(type(module).__name__))


def _biases(backbone: Backbone) -> set[str]:
    """Return the names of the additive parameters (BitFit: Ben Zaken et al., ACL 2022), those of the norms included."""
    return {name for name, _ in backbone.named_parameters() if name.rpartition(".")[2].endswith("bias")}


def _adapters(backbone: Backbone) -> set[str]:
    """Return the names of the adapter's parameters."""
    return {name for name, _ in backbone.named_parameters() if PARAMETERS.search(name)}
