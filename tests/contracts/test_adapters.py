"""What every parameter-efficient method promises, over the families of backbones."""

import copy
import dataclasses
import signal
from dataclasses import dataclass

import pytest
import torch

from headstart.adapter import PARAMETERS
from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone
from headstart.errors import IntegrityError
from headstart.job import METHODS
from headstart.methods.method import Method
from headstart.model import Model
from headstart.tasks.classification import Classification
from headstart.training import beside
from tests.training.killing import in_child, kill_at_step
from tests.training.small import SIZE, Events, context, digest, splits

KINDS = ("lora", "dora", "ia3")
FAMILIES = ("efficientnet_lite0", "timm/test_vit", "timm/test_convnext", "timm/test_resnet", "timm/test_efficientnet",
            "torchvision/mobilenet_v3_small")
QUICK = {"epochs": 1, "batch_size": 5, "lr_backbone": 2e-3, "lr_head": 1e-2, "augment": "none", "monitor": "loss"}


def method(kind: str, **settings: object) -> Method:
    small = {} if kind == "ia3" else {"rank": 2, "alpha": 4}
    return METHODS.parse({"method": kind, **QUICK, **small, **settings})


def start(family: str) -> Model:
    """A model with a bad head, so that the backbone learns at once, and BatchNorm statistics that fit its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone, _ = resolve.load(family, pretrained=family == "efficientnet_lite0", size=SIZE)
        if family != "efficientnet_lite0":
            settle(backbone)
        model = Model.fresh(backbone.eval(), Classification(), ("right", "left"),
                            preprocessing=backbone.spec.preprocessing)
        with torch.no_grad():
            length = float(model.backbone(torch.randn(16, 3, SIZE, SIZE)).norm(dim=1).mean())
        torch.nn.init.normal_(model.head.linear.weight, std=1.0 / length)
        torch.nn.init.constant_(model.head.linear.bias[:1], 4.0)
    return model


def settle(backbone: Backbone) -> None:
    """Give fresh norms the statistics of what they see, and none a factor of zero, behind which nothing learns."""
    for norm in (module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.ones_(norm.weight)
        norm.momentum = 0.5
    backbone.train()
    with torch.no_grad():
        for _ in range(10):
            backbone(torch.randn(16, 3, SIZE, SIZE))


@dataclass
class Fitted:
    """What a method made, and the backbone with the adapter still apart, as training left it."""

    start: Model
    before: Backbone
    model: Model
    adapted: Backbone
    notes: str


@pytest.fixture(scope="module", params=[(kind, family) for family in FAMILIES for kind in KINDS],
                ids=lambda pair: f"{pair[0]}-{pair[1]}")
def fitted(request, tmp_path_factory) -> Fitted:
    kind, family = request.param
    torch.set_num_threads(1)
    folder, model, events = tmp_path_factory.mktemp("fitted"), start(family), Events()
    before, kept = copy.deepcopy(model.backbone), []
    with pytest.MonkeyPatch.context() as patch:
        real = beside.detach
        patch.setattr(beside, "detach", lambda adapted, recipe: (kept.append(adapted), real(adapted, recipe))[1])
        made = method(kind).fit(model, splits(folder / "data"), context(folder, events))
    return Fitted(model, before, made, kept[0], events.notes())


def images() -> torch.Tensor:
    return torch.randn(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def vectors(backbone: Backbone) -> torch.Tensor:
    with torch.no_grad():
        return backbone.eval()(images())


def assert_equal_outputs(one: torch.Tensor, other: torch.Tensor) -> None:
    assert float((one - other).abs().max()) <= 1e-5 * max(1.0, float(other.abs().max()))


def test_every_parameter_and_buffer_of_the_backbone_stays_bit_for_bit(fitted):
    own = {name.replace(".base_layer.", "."): tensor for name, tensor in fitted.adapted.state_dict().items()
           if not PARAMETERS.search(name)}
    before = fitted.before.state_dict()
    assert set(own) == set(before)
    assert [name for name in own if not torch.equal(own[name], before[name])] == []
    assert fitted.model.adapter.backbone_sha256 == fitted.before.weights_hash()


def test_the_given_model_is_left_alone(fitted):
    assert fitted.start.backbone.weights_hash() == fitted.before.weights_hash()
    assert fitted.start.adapter is None


def test_every_part_of_the_adapter_learned(fitted):
    moved = [name for name, tensor in fitted.model.adapter.tensors.items()
             if "lora_B" in name or "magnitude" in name or "ia3_" in name]
    still = [name for name in moved if torch.unique(fitted.model.adapter.tensors[name]).numel() == 1
             and fitted.model.adapter.tensors[name].numel() > 1]
    assert moved
    assert still == []


def test_the_merged_model_computes_what_the_adapted_one_did(fitted):
    merged, before = vectors(fitted.model.backbone), vectors(fitted.before)
    assert_equal_outputs(merged, vectors(fitted.adapted))
    assert float((merged - before).abs().max() / before.abs().max()) > 1e-3  # else equality would prove nothing


def test_the_merged_backbone_has_the_names_and_the_record_of_the_plain_one(fitted):
    merged = fitted.model.backbone
    assert list(merged.state_dict()) == list(fitted.before.state_dict())
    assert merged.spec == fitted.before.spec
    assert [type(m) for m in merged.modules()] == [type(m) for m in fitted.before.modules()]
    assert all(parameter.requires_grad for parameter in merged.parameters())
    assert not hasattr(merged, "peft_config")


def test_the_saved_model_loads_without_knowing_of_adapters(fitted, tmp_path):
    fitted.model.save(tmp_path / "model.safetensors")
    loaded = Model.load(tmp_path / "model.safetensors")
    assert digest(loaded) == digest(fitted.model)


def test_the_adapter_saved_alone_makes_the_same_model_on_its_backbone(fitted, tmp_path):
    file = tmp_path / "adapter.safetensors"
    model = dataclasses.replace(fitted.model, temperature=1.7)
    model.save_adapter(file)
    loaded = Model.with_adapter(file, fitted.before)
    assert_equal_outputs(vectors(loaded.backbone), vectors(model.backbone))
    assert torch.equal(loaded.head.linear.weight, model.head.linear.weight)
    assert (loaded.classes, loaded.preprocessing, loaded.temperature) == (model.classes, model.preprocessing, 1.7)
    assert fitted.before.weights_hash() == fitted.model.adapter.backbone_sha256
    assert file.stat().st_size < 0.5 * sum(p.numel() * 4 for p in fitted.before.parameters())
    loaded.save_adapter(tmp_path / "again.safetensors")


def test_another_backbone_is_refused_by_its_hash(fitted, tmp_path):
    fitted.model.save_adapter(tmp_path / "adapter.safetensors")
    other = copy.deepcopy(fitted.before)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    with pytest.raises(IntegrityError, match=f"{fitted.before.weights_hash()}(.|\n)*{other.weights_hash()}"):
        Model.with_adapter(tmp_path / "adapter.safetensors", other)


def test_stages_hold_each_parameter_of_the_adapted_backbone_with_its_layer(fitted):
    adapted, plain = fitted.adapted, fitted.before
    held = [id(p) for group in adapted.groups() for p in group]
    assert sorted(held) == sorted(id(p) for p in adapted.parameters())

    def stage_of(backbone: Backbone) -> dict[str, int]:
        place = {id(p): number for number, group in enumerate(backbone.groups()) for p in group}
        return {name: place[id(p)] for name, p in backbone.named_parameters()}

    before = stage_of(plain)
    for name, stage in stage_of(adapted).items():
        layer = name.replace(".base_layer.", ".")
        if PARAMETERS.search(name):
            layer = PARAMETERS.split(name)[0] + "weight"
        assert stage == before[layer], name


def test_the_adapted_backbone_copies_and_freezes(fitted):
    other = copy.deepcopy(fitted.adapted)
    assert other.weights_hash() == fitted.adapted.weights_hash()
    other.freeze("all").train()
    assert not any(p.requires_grad for p in other.parameters())
    assert not any(module.training for module in other.modules())


def test_the_run_is_told_how_much_trains(fitted):
    total = sum(p.numel() for p in fitted.before.parameters())
    trained = sum(t.numel() for t in fitted.model.adapter.tensors.values())
    assert f"{trained:,} parameters are trained beside the {total:,} of the backbone ({trained / total:.2%})" \
        in fitted.notes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["timm/test_vit", "timm/test_resnet"])
def test_a_killed_training_resumes_to_the_same_bits(kind, family, tmp_path):
    torch.set_num_threads(1)
    parts, events = splits(tmp_path / "data"), Events()
    training = method(kind, checkpoint_seconds=0.001)
    whole = training.fit(start(family), parts, context(tmp_path / "whole", Events()))
    broken = context(tmp_path / "broken", kill_at_step(3))
    assert in_child(lambda: training.fit(start(family), parts, broken)) == -signal.SIGKILL
    again = training.fit(start(family), parts, context(tmp_path / "broken", events))
    assert "resumed at step 2 of 4" in events.notes()
    assert digest(again) == digest(whole)
    assert set(again.adapter.tensors) == set(whole.adapter.tensors)
    assert all(torch.equal(again.adapter.tensors[name], whole.adapter.tensors[name]) for name in whole.adapter.tensors)


@pytest.mark.parametrize("settings", [
    {"average": {"average": "ema"}}, {"average": "swa"}, {"drop_path": 0.3, "dropout": 0.2}, {"unfreeze": "fixed"},
    {"layer_decay": 0.7, "regularisers": ["l2_sp"]}, {"gradient_checkpointing": True}, {"precision": "bf16"}],
    ids=lambda settings: "-".join(settings))
def test_other_settings_of_training_leave_the_backbone_frozen_too(settings, tmp_path):
    given = start("timm/test_resnet")
    training = method("lora", epochs=2, **settings)
    made = training.fit(given, splits(tmp_path / "data"), context(tmp_path, Events()))
    assert made.has_adapter
    assert made.adapter.backbone_sha256 == given.backbone.weights_hash()
    assert any(tensor.any() for name, tensor in made.adapter.tensors.items() if "lora_B" in name)
    made.save(tmp_path / "model.safetensors")
    assert torch.equal(vectors(Model.load(tmp_path / "model.safetensors").backbone), vectors(made.backbone))


def test_another_seed_starts_from_another_adapter(tmp_path):
    parts, made = splits(tmp_path / "data"), []
    for seed in (1, 2):
        where = context(tmp_path / str(seed), Events(), seed=seed)
        made.append(method("lora").fit(start("timm/test_vit"), parts, where).adapter)
    name = next(name for name in made[0].tensors if "lora_A" in name)
    assert not torch.equal(made[0].tensors[name], made[1].tensors[name])
