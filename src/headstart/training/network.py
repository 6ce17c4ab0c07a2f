"""Network: backbone and head as one module, with the parts that stay frozen and the groups that learn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.backbones.backbone import Backbone
from headstart.errors import ConfigError
from headstart.training import scope
from headstart.training.plan import Plan

MOMENTUM = 0.1
"""Share by which a step moves BatchNorm's statistics where they are trained; PyTorch's own default.

Networks that were born in TensorFlow carry 0.01: a fine-tuning of a hundred steps would validate with the statistics
of ImageNet and the weights of the new task.
"""

# B images, C classes, D features


class Network(nn.Module):
    """Images float32 [B, channels, H, W] -> logits [B, C]."""

    def __init__(self, backbone: Backbone, head: nn.Module, plan: Plan, *, companion: nn.Module | None = None) -> None:
        """companion: what learns beside them, in the same steps, and is no part of the model."""
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.companion = companion
        self._trains_head = plan.trains_head
        self.scope = plan.scope
        self.thawed: int | None = None
        """How many of the deepest stages are free so far; None where nothing waits to be unfrozen."""
        norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
        self._resting = [] if plan.batch_norm == "train" else norms
        for norm in norms:
            norm.momentum = MOMENTUM
        for module in head.modules():
            if isinstance(module, nn.Dropout):
                module.p = plan.dropout
        self.thaw(None if plan.unfreeze == "none" else 0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [B, C]."""
        return self.features_and_logits(images)[1]

    def features_and_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pooled features [B, D] and the logits [B, C] of them."""
        features = self.backbone.pooled(images)
        return features, self.head(features)

    def thaw(self, stages: int | None) -> None:
        """Free the `stages` deepest stages as far as the scope goes, all of them if None; the rest is frozen."""
        self.thawed = stages
        scope.apply(self.scope, self.backbone, thawed=stages)
        self.head.requires_grad_(self._trains_head)
        self.train(self.training)

    @property
    def reachable(self) -> int:
        """How many of the deepest stages the scope lets train in the end."""
        return scope.deepest(self.scope, self.backbone)

    @contextlib.contextmanager
    def all_thawed(self) -> Iterator[None]:
        """Let all that the scope reaches be free for a while, as it will be in the end."""
        now = self.thawed
        self.thaw(None)
        try:
            yield
        finally:
            self.thaw(now)

    @property
    def moves_batch_norm(self) -> bool:
        """Whether some BatchNorm computes with the batch's own statistics, now or once all is unfrozen."""
        with self.all_thawed():
            return any(isinstance(m, _BatchNorm) and m.training for m in self.modules())

    @property
    def head_has_batch_norm(self) -> bool:
        """Whether the head normalises by BatchNorm, which always trains: a fresh one has no statistics to keep."""
        return any(isinstance(module, _BatchNorm) for module in self.head.modules())

    def train(self, mode: bool = True) -> Network:
        """Switch to training mode, but for what is frozen; the backbone sees to its frozen stages itself."""
        super().train(mode)
        for norm in self._resting:
            # Only eval mode keeps BatchNorm's statistics and output; requires_grad=False does neither.
            norm.eval()
        return self

    def set_drop_path(self, rate: float) -> None:
        """Drop residual branches at `rate`, rising from 0 at the stem. Raises ConfigError where there is none."""
        found = self.backbone.set_drop_path(rate)
        if rate and not found:
            raise ConfigError(f"drop_path={rate}: {self.backbone.spec.architecture} has no residual branch to drop. "
                              "Set drop_path=0, or use dropout.")

    def groups(self, plan: Plan) -> list[dict[str, Any]]:
        """Return AdamW's parameter groups, each with its `name` and the `base` rate that the schedule multiplies.

        Everything that the scope lets train is in a group from the start; what waits frozen gets no gradient.
        """
        stages = self.backbone.stages()
        own_decay = 0.0 if any(r.replaces_decay for r in plan.regularisers) else plan.weight_decay
        parts = [(f"stage {number}", list(stage.parameters()), rate, own_decay) for number, (stage, rate)
                 in enumerate(zip(stages, stage_rates(plan, len(stages)), strict=True))]
        parts.append(("head", list(self.head.parameters()), plan.lr_head, plan.weight_decay))
        if self.companion is not None:
            parts.append(("companion", list(self.companion.parameters()), plan.lr_head, plan.weight_decay))
        with self.all_thawed():
            free = {id(p) for p in self.parameters() if p.requires_grad}
        # Decay on biases, norms and position embeddings only shrinks what has no scale to control; an adapter's vector
        # may be [1, C, 1, 1].
        decaying = {id(p) for name, p in self.named_parameters()
                    if name.endswith("weight") and sum(side > 1 for side in p.shape) > 1}
        groups: list[dict[str, Any]] = []
        for name, parameters, base, strength in parts:
            learning = [p for p in parameters if id(p) in free]
            for decay, kind in ((strength, True), (0.0, False)):
                chosen = [p for p in learning if (id(p) in decaying) is kind]
                if chosen:
                    groups.append({"params": chosen, "lr": base, "base": base, "weight_decay": decay,
                                   "own_decay": decay, "name": name})
        return groups


@dataclass(frozen=True)
class Rate:
    """The highest learning rate of one stage, or of the head."""

    name: str
    rate: float
    parameters: int
    """How many of its parameters train."""


def stage_rates(plan: Plan, stages: int) -> list[float]:
    """Return the learning rate of each stage, shallow first: lr_backbone * layer_decay ** (stages - 1 - i).

    Source: layer-wise decay as in Bao et al., "BEiT", ICLR 2022, with a rate of its own for the head.
    """
    return [plan.lr_backbone * plan.layer_decay ** (stages - 1 - number) for number in range(stages)]


def rate_table(groups: Iterable[Mapping[str, Any]]) -> list[Rate]:
    """Return the rates of all stages that train and of the head, shallow first, from what `Network.groups` gave."""
    found: dict[str, Rate] = {}
    for group in groups:
        name, count = group["name"], sum(p.numel() for p in group["params"])
        before = found[name].parameters if name in found else 0
        found[name] = Rate(name, group["base"], before + count)
    return list(found.values())
