"""Frozen means frozen: under every scope, on every family, epoch by epoch, parameters and buffers alike."""

import pytest
import torch

from headstart.backbones import resolve
from headstart.errors import ConfigError
from headstart.events import EpochEnded, silent
from headstart.methods.finetune import Finetune
from headstart.model import Model
from headstart.tasks.classification import Classification
from headstart.training.checkpoints import Checkpoints
from headstart.training.network import Network
from headstart.training.train import train
from tests.training.small import SETTINGS, Events, context, plan, splits

FAMILIES = ("timm/test_resnet", "timm/test_vit", "timm/test_convnext", "timm/test_efficientnet",
            "torchvision/mobilenet_v3_small")
NORMS = (torch.nn.BatchNorm2d, torch.nn.LayerNorm)


def fresh(name: str) -> Model:
    torch.manual_seed(0)
    backbone = resolve.load(name, pretrained=False, size=SETTINGS.size)[0].eval()
    model = Model.fresh(backbone, Classification(), ("right", "left"), preprocessing=SETTINGS)
    torch.nn.init.normal_(model.head.linear.weight, std=0.1)  # zeros would send no gradient to the backbone
    return model


def may_move(model: Model, scope: str) -> set[str]:
    """Names of the backbone's parameters that a scope lets train, by a rule of its own."""
    backbone = model.backbone
    names = {id(p): name for name, p in backbone.named_parameters()}
    if scope.startswith("last-"):
        return {names[id(p)] for stage in backbone.stages()[-int(scope[5:]):] for p in stage.parameters()}
    if scope == "norm-only":
        return {names[id(p)] for m in backbone.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}
    return {"head": set(), "all": set(names.values()),
            "bias-only": {name for name in names.values() if name.split(".")[-1] == "bias"}}[scope]


@pytest.mark.parametrize("scope", ["head", "last-1", "last-2", "norm-only", "bias-only", "all"])
@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_outside_the_scope_moves_in_any_epoch(family, scope, tmp_path):
    model, events, seen = fresh(family), Events(), []
    start = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    events.then = lambda event: seen.append(Checkpoints(tmp_path / "checkpoints", silent).newest().weights) \
        if isinstance(event, EpochEnded) else None
    train(model, splits(tmp_path / "data", train=8, val=4), plan(epochs=2, scope=scope, clip_norm=100.0),
          context(tmp_path, events))
    assert len(seen) == 2
    free = may_move(model, scope)
    for weights in seen:
        moved = {name for name, tensor in start.items() if not torch.equal(weights[f"backbone.{name}"], tensor)}
        assert moved <= free
        assert not torch.equal(weights["head.linear.weight"], model.head.linear.weight)
    assert bool(moved) == bool(free)


@pytest.mark.parametrize("family", FAMILIES)
def test_fixed_unfreezing_frees_one_stage_an_epoch_from_the_head_down(family, tmp_path):
    model, events, seen = fresh(family), Events(), []
    start = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    events.then = lambda event: seen.append(Checkpoints(tmp_path / "checkpoints", silent).newest().weights) \
        if isinstance(event, EpochEnded) else None
    train(model, splits(tmp_path / "data", train=8, val=4), plan(epochs=3, unfreeze="fixed", clip_norm=100.0),
          context(tmp_path, events))
    for epoch, weights in enumerate(seen):
        moved = {name for name, tensor in start.items() if not torch.equal(weights[f"backbone.{name}"], tensor)}
        assert moved <= (may_move(model, f"last-{epoch}") if epoch else set())
        assert bool(moved) == bool(epoch)
    assert [row.values["stages"] for row in events.of(EpochEnded)] == [0, 1, 2]


def test_more_stages_than_there_are_is_refused(tmp_path):
    from headstart.errors import ConfigError

    with pytest.raises(ConfigError, match=r"scope last-99: timm/test_resnet has \d stages. Give last-1 to last-\d"):
        train(fresh("timm/test_resnet"), splits(tmp_path / "data"), plan(scope="last-99"), context(tmp_path, silent))


def test_an_unknown_scope_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r'"last" is no scope\. Write one of all, head, last-N, norm-only, bias-only'):
        plan(scope="last")


def test_scope_adapter_is_refused_where_there_is_none():
    with pytest.raises(ConfigError, match=r"scope adapter belongs to lora, dora and ia3.*use --method lora"):
        Finetune.parse({"scope": "adapter"})


@pytest.mark.parametrize("name", ["timm/test_vit", "torchvision/swin_t"])
def test_weight_decay_spares_position_embeddings(name):
    start, settings = fresh(name), plan(weight_decay=0.1)
    network = Network(start.backbone, start.head, settings)
    decays = {id(p): group["weight_decay"] for group in network.groups(settings) for p in group["params"]}
    found = {key: decays[id(p)] for key, p in network.backbone.named_parameters()
             if "pos_embed" in key or key.endswith("bias_table")}
    assert found
    assert set(found.values()) == {0.0}
    assert all(decays[id(m.weight)] == 0.1 for m in network.backbone.modules() if isinstance(m, torch.nn.Linear))


def test_weight_decay_spares_what_is_a_vector_whatever_its_shape():
    model = fresh("timm/test_resnet")
    stage = model.backbone.stages()[-1]
    stage.members[0].register_parameter("scale", torch.nn.Parameter(torch.ones(1, 8, 1, 1)))
    scale = stage.members[0].scale
    settings = plan(weight_decay=0.1)
    groups = Network(model.backbone, model.head, settings).groups(settings)
    assert [g["weight_decay"] for g in groups if any(p is scale for p in g["params"])] == [0.0]
