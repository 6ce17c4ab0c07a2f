"""Network: backbone and head as one module, with the parts that stay frozen and the groups that learn."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.backbones.backbone import Backbone
from headstart.training import scope
from headstart.training.plan import Plan

MOMENTUM = 0.1
"""Share by which a step moves BatchNorm's statistics where they are trained; PyTorch's own default.

Networks that were born in TensorFlow carry 0.01: a fine-tuning of a hundred steps would validate with the statistics
of ImageNet and the weights of the new task.
"""

# B images, C classes


class Network(nn.Module):
    """Images float32 [B, channels, H, W] -> logits [B, C]."""

    def __init__(self, backbone: Backbone, head: nn.Module, plan: Plan) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        scope.apply(plan.scope, backbone)
        head.requires_grad_(True)
        norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
        self._resting = [] if plan.batch_norm == "train" else norms
        for norm in norms:
            norm.momentum = MOMENTUM
        self.train()
        self.moves_batch_norm = any(isinstance(m, _BatchNorm) and m.training for m in self.modules())
        """Whether some BatchNorm computes with the batch's own statistics."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [B, C]."""
        logits: torch.Tensor = self.head(self.backbone.pooled(images))
        return logits

    def train(self, mode: bool = True) -> Network:
        """Switch to training mode, but for what is frozen; the backbone sees to its frozen stages itself."""
        super().train(mode)
        for norm in self._resting:
            # Only eval mode keeps BatchNorm's statistics and output; requires_grad=False does neither.
            norm.eval()
        return self

    def groups(self, plan: Plan) -> list[dict[str, object]]:
        """Return AdamW's parameter groups, each with the `base` rate that the schedule multiplies."""
        groups: list[dict[str, object]] = []
        for part, base in ((self.backbone, plan.lr_backbone), (self.head, plan.lr_head)):
            learning = [p for p in part.parameters() if p.requires_grad]
            # Decay on biases and norms only shrinks what has no scale to control.
            for decay, chosen in ((plan.weight_decay, [p for p in learning if p.ndim > 1]),
                                  (0.0, [p for p in learning if p.ndim <= 1])):
                if chosen:
                    groups.append({"params": chosen, "lr": base, "base": base, "weight_decay": decay})
        return groups
