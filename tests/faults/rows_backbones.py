"""Fault rows of pretrained models."""

from pathlib import Path

import torch

from headstart.backbones import resolve
from tests.faults.matrix import row

FAMILIES = ("timm/test_resnet", "timm/test_efficientnet", "timm/mobilenetv3_small_050", "timm/test_convnext",
            "timm/test_vit")


def fingerprint(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@row(41, "frozen backbone with BatchNorm, five families")
def frozen_backbone_keeps_parameters_and_statistics(_folder: Path) -> None:
    for name in FAMILIES:
        torch.manual_seed(0)
        backbone = resolve.load(name, pretrained=False)[0].freeze("all")
        head = torch.nn.Linear(backbone.width, 3)
        before = backbone.weights_hash()
        train_steps(backbone, head, [*backbone.parameters(), *head.parameters()])
        assert backbone.weights_hash() == before, name
        images = torch.randn(2, 3, 160, 160)
        live = backbone.train()(images)
        torch.testing.assert_close(live, backbone.eval()(images), rtol=0, atol=0)


@row(41, "first stages frozen, the rest trained, five families")
def frozen_stages_stay_while_others_move(_folder: Path) -> None:
    for name in FAMILIES:
        torch.manual_seed(0)
        backbone = resolve.load(name, pretrained=False)[0].freeze(2)
        head = torch.nn.Linear(backbone.width, 3)
        before = [fingerprint(stage) for stage in backbone.stages()]
        train_steps(backbone, head, [p for p in [*backbone.parameters(), *head.parameters()] if p.requires_grad])
        after = [fingerprint(stage) for stage in backbone.stages()]
        same = [all(torch.equal(old[key], new[key]) for key in old) for old, new in zip(before, after, strict=True)]
        assert same[:2] == [True, True], name
        assert not any(same[2:]), name


def train_steps(backbone: torch.nn.Module, head: torch.nn.Module, parameters: list[torch.nn.Parameter]) -> None:
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        backbone.train()
        logits = head(backbone(torch.randn(4, 3, 160, 160)))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
