"""Ensemble: several models of the same classes as one, which answers with the mean of their calibrated logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.ensemble import described
from headstart.backbones.ensemble_backbone import EnsembleBackbone
from headstart.heads import LinearHead
from headstart.model import Model

# k models, D features, C classes


def mean_of(models: Sequence[Model]) -> Model:
    """Return one model whose logits are the mean over `models` of logits / temperature; its own temperature is 1.

    All have linear heads, the same classes and the same preprocessing. Linear heads on the vectors of all backbones,
    one after the other, are one linear head: [W_1 / (k T_1) | W_2 / (k T_2) | ...], with the mean of b / T as bias.
    Backbones with equal weights are kept once, so that the mean of probes on one frozen backbone is as fast as one.
    """
    first, share = models[0], 1 / len(models)
    assert all(m.classes == first.classes and m.preprocessing == first.preprocessing for m in models), \
        "members answer the same question about the same tensor"
    backbones: dict[str, Backbone] = {}
    weights: dict[str, torch.Tensor] = {}
    bias = torch.zeros(len(first.classes), dtype=torch.float64)
    for model in models:
        assert isinstance(model.head, LinearHead), "model files hold linear heads"
        linear = model.head.linear.cpu()
        name = model.backbone.weights_hash()
        backbones.setdefault(name, model.backbone)
        scaled = linear.weight.detach().double() * (share / model.temperature)
        weights[name] = weights[name] + scaled if name in weights else scaled
        bias += linear.bias.detach().double() * (share / model.temperature)
    backbone = _side_by_side(list(backbones.values()))
    head = LinearHead(backbone.width, len(first.classes))
    with torch.no_grad():
        head.linear.weight.copy_(torch.cat(list(weights.values()), dim=1))
        head.linear.bias.copy_(bias)
    return replace(first, backbone=backbone, head=head.eval(), temperature=1.0,
                   adapter=first.adapter if backbone is first.backbone else None)


def _side_by_side(backbones: Sequence[Backbone]) -> Backbone:
    if len(backbones) == 1:
        return backbones[0]
    together = EnsembleBackbone(backbones, described(backbones[0].spec, len(backbones)))
    return together.eval()
