"""What `Backbone.set_drop_path` promises, over families whose residual blocks were counted by hand."""

import copy
import pickle

import pytest
import timm
import torch
from torchvision.ops import StochasticDepth

from headstart.backbones.backbone import Backbone
from tests.contracts.test_backbones import fresh, images

# From the papers' tables. Of n inverted residuals in a row, only the n - 1 that keep size and width have a shortcut;
# at half its width, MobileNetV3's stages of 40 and 48 channels have the same 24.
BLOCKS = {"timm/test_resnet": [1, 1, 1, 1], "timm/test_vit": [6], "timm/test_convnext": [1, 2, 4, 2],
          "efficientnet_lite0": [0, 1, 1, 2, 2, 3, 0], "mobilenet_v2": [0, 1, 2, 3, 2, 2, 0],
          "timm/mobilenetv3_small_050": [0, 1, 2, 2, 2], "torchvision/efficientnet_b0": [0, 1, 1, 2, 2, 3, 0]}
BRANCHES = {"timm/test_vit": 2}
"""Of one block, where it is not 1: attention and MLP."""
every_family = pytest.mark.parametrize("name", BLOCKS)
without_norm_statistics = pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_convnext"])


def backbone(name: str) -> Backbone:
    return copy.deepcopy(fresh(name)).freeze(0).eval()


def drops(model: Backbone) -> list[StochasticDepth]:
    """The places of the branches in the order of definition; those of blocks without a shortcut have no chance."""
    return [module for module in model.modules() if isinstance(module, StochasticDepth)]


@every_family
def test_chances_rise_linearly_from_0_to_the_rate(name: str) -> None:
    blocks, branches = sum(BLOCKS[name]), BRANCHES.get(name, 1)
    model = backbone(name)
    assert model.set_drop_path(0.4) == blocks * branches
    expected = [0.4 * block / (blocks - 1) for block in range(blocks) for _ in range(branches)]
    found = [drop.p for drop in drops(model)]
    assert [p for p in found if p] == pytest.approx([p for p in expected if p])
    assert found[0] == 0


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_chances_are_those_that_timm_builds_with(name: str) -> None:
    model, built = backbone(f"timm/{name}"), timm.create_model(name, drop_path_rate=0.3)
    model.set_drop_path(0.3)
    own = [module.drop_prob for module in built.modules() if type(module).__name__ == "DropPath"]
    assert [drop.p for drop in drops(model) if drop.p] == pytest.approx(own)


@every_family
def test_eval_mode_weights_and_generator_are_untouched(name: str) -> None:
    model, pixels = backbone(name), images(name)
    random, keys, weights = torch.get_rng_state(), list(model.state_dict()), model.weights_hash()
    with torch.no_grad():
        before = model(pixels)
        model.set_drop_path(0.9)
        assert torch.equal(model(pixels), before)
    assert list(model.state_dict()) == keys
    assert model.weights_hash() == weights
    assert torch.equal(torch.get_rng_state(), random)


@every_family
def test_copies_and_pickles_keep_the_chances(name: str) -> None:
    model = backbone(name)
    model.set_drop_path(0.4)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [drop.p for drop in drops(other)] == [drop.p for drop in drops(model)]


@every_family
@pytest.mark.parametrize("training", [True, False])
def test_every_module_keeps_its_mode(name: str, training: bool) -> None:
    model = backbone(name).freeze(2).train(training)
    modes = {key: module.training for key, module in model.named_modules()}
    model.set_drop_path(0.4)
    after = {key: module.training for key, module in model.named_modules()}
    assert {key: after[key] for key in modes} == modes
    for key in after.keys() - modes.keys():
        assert after[key] == after[key.rpartition(".")[0]]


@without_norm_statistics
def test_rate_0_restores_the_computation(name: str) -> None:
    model, pixels = backbone(name), images(name)
    with torch.no_grad():
        plain = model(pixels)
        model.set_drop_path(0.9)
        model.train()
        torch.manual_seed(0)
        assert not torch.equal(model(pixels), plain)
        assert model.set_drop_path(0.0) == 0
        assert torch.equal(model(pixels), plain)


def test_rate_0_switches_the_librarys_own_default_off() -> None:
    model = backbone("torchvision/efficientnet_b0")
    assert max(drop.p for drop in drops(model)) > 0
    model.set_drop_path(0.0)
    assert max(drop.p for drop in drops(model)) == 0


@without_norm_statistics
@pytest.mark.parametrize("frozen_first", [True, False])
def test_frozen_stages_leave_nothing_out(name: str, frozen_first: bool) -> None:
    model, pixels = backbone(name), images(name)
    for step in ("freeze", "drop") if frozen_first else ("drop", "freeze"):
        if step == "freeze":
            model.freeze("all").train()
        else:
            model.set_drop_path(0.9)
    with torch.no_grad():
        assert torch.equal(model(pixels), fresh(name)(pixels))


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/test_vit", "timm/test_convnext", "efficientnet_lite0"])
def test_the_deepest_block_is_an_identity_at_a_rate_of_almost_1(name: str) -> None:
    model = backbone(name)
    model.set_drop_path(1 - 1e-9)
    owner = next(block for block in reversed(list(model.modules()))
                 if any(isinstance(child, StochasticDepth) and child.p for child in block.children()))
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = owner.register_forward_hook(lambda _block, given, output: seen.append((given[0].clone(), output)))
    with torch.no_grad():
        owner.train()
        model(images(name))
    hook.remove()
    assert torch.equal(*seen[0])


def test_a_branch_that_stays_makes_up_for_those_that_do_not() -> None:
    """Each image for itself: the block gives x, or x + branch / (1 - p), where eval mode gives x + branch."""
    model = backbone("timm/test_convnext")
    model.set_drop_path(0.75)
    block = model.model.stages[-1].blocks[-1]
    with torch.no_grad():
        block.gamma.fill_(1.0)  # ConvNeXt begins with branches of almost nothing
        x = torch.randn(200, block.mlp.fc2.out_features, 3, 3, generator=torch.Generator().manual_seed(0))
        branch = block(x) - x
        torch.manual_seed(0)
        found = block.train()(x) - x
    kept = found.flatten(1).abs().amax(dim=1) > 0
    torch.testing.assert_close(found[kept], branch[kept] / 0.25, rtol=1e-4, atol=1e-4)
    assert int(kept.sum()) == pytest.approx(50, abs=4 * (200 * 0.25 * 0.75) ** 0.5)


@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x0_5"])
def test_without_residual_branches_nothing_is_left_out(name: str) -> None:
    assert backbone(name).set_drop_path(0.5) == 0
