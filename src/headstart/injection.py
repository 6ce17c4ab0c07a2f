"""Injection: the door to peft. Adapters go into a network, and out of it again, merged into its own weights.

Imported when an adapter is first used: peft is an optional package, and takes seconds to import.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from peft import IA3Config, LoraConfig, PeftConfig, inject_adapter_in_model
from peft.tuners.lora.dora import DoraConv2dLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


class _DoraConvolution(DoraConv2dLayer):
    """peft's layer, also for weights in channels-last memory, of which `view` can't make a matrix."""

    def get_lora_weight(self, lora_A: nn.Conv2d, lora_B: nn.Conv2d, adapter_name: str | None = None) -> torch.Tensor:
        """Return the product of the two factors: [out, in x kernel]."""
        return lora_B.weight.flatten(1) @ lora_A.weight.flatten(1)


def inject(network: nn.Module, layers: Sequence[str], *, kind: str, rank: int, alpha: float, dropout: float) -> None:
    """Put fresh adapters beside the layers of these names, in place.

    kind: `lora`, `dora` or `ia3`. Random numbers come from torch's global generator.
    """
    names = f"(?:{'|'.join(map(re.escape, layers))})"  # for `fullmatch`; a list would match the ends of names
    config: PeftConfig
    if kind == "ia3":
        config = IA3Config(target_modules=names, feedforward_modules=[])
    else:
        config = LoraConfig(target_modules=names, r=rank, lora_alpha=alpha,  # type: ignore[arg-type]
                            lora_dropout=dropout, use_dora=kind == "dora")
    inject_adapter_in_model(config, network)
    for module in network.modules():
        if type(module) is DoraConv2dLayer:
            module.__class__ = _DoraConvolution


def merge(network: nn.Module) -> None:
    """Put each adapted layer back in its place with the adapter multiplied into its weights, in place."""
    for name, layer in [found for found in network.named_modules() if isinstance(found[1], BaseTunerLayer)]:
        layer.merge(safe_merge=True)
        network.set_submodule(name, layer.get_base_layer())
    del network.peft_config
