import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.errors import DataError
from headstart.methods.probe import Probe
from headstart.training.batch_norm import adapt_statistics, adapted
from headstart.training.pictures import Pictures
from tests.contracts.test_backbones import fresh
from tests.training import small

WITH_BATCH_NORM = ("timm/test_resnet", "timm/test_efficientnet", "efficientnet_lite0", "timm/mobilenetv3_small_050",
                   "torchvision/shufflenet_v2_x0_5")
every_family = pytest.mark.parametrize("name", WITH_BATCH_NORM)


def batches(*sizes: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [3 * torch.randn(size, 3, 64, 64, generator=generator) + 1 for size in sizes]


def norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@every_family
def test_first_layer_gets_the_mean_of_the_batches_statistics_in_float64(name: str) -> None:
    model, given = copy.deepcopy(fresh(name)), batches(4, 4, 4)
    inputs: list[np.ndarray] = []
    hook = norms(model)[0].register_forward_pre_hook(lambda _, x: inputs.append(x[0].double().numpy()))
    assert adapt_statistics(model, given) == len(norms(model))
    hook.remove()
    mean = np.mean([x.mean(axis=(0, 2, 3)) for x in inputs], axis=0)
    var = np.mean([x.var(axis=(0, 2, 3), ddof=1) for x in inputs], axis=0)
    np.testing.assert_allclose(norms(model)[0].running_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norms(model)[0].running_var.numpy(), var, rtol=1e-4)


@every_family
def test_every_layer_gets_the_mean_over_the_batches(name: str) -> None:
    """A batch's own statistics, layer by layer, are what PyTorch leaves after one step with momentum 1."""
    given, alone = batches(8, 8, 8), []
    for images in given:
        model = copy.deepcopy(fresh(name)).eval()
        for norm in norms(model):
            norm.momentum = 1.0
            norm.training = True
        with torch.no_grad():
            model(images)
        alone.append(torch.stack([torch.cat([norm.running_mean, norm.running_var]).double().mean()
                                  for norm in norms(model)]))
    adapted = copy.deepcopy(fresh(name))
    adapt_statistics(adapted, given)
    found = torch.stack([torch.cat([norm.running_mean, norm.running_var]).double().mean() for norm in norms(adapted)])
    torch.testing.assert_close(found, torch.stack(alone).mean(dim=0), rtol=1e-4, atol=1e-5)


@every_family
def test_weights_modes_and_momentum_are_untouched(name: str) -> None:
    model = copy.deepcopy(fresh(name)).train()
    weights = {key: value.clone() for key, value in model.named_parameters()}
    momenta = [norm.momentum for norm in norms(model)]
    adapt_statistics(model, batches(4, 3))
    assert all(torch.equal(value, weights[key]) for key, value in model.named_parameters())
    assert [norm.momentum for norm in norms(model)] == momenta
    assert not any(module.training for module in model.modules())


def test_a_batch_in_which_nothing_is_found_counts_for_nothing_and_what_is_never_reached_keeps_its_statistics() -> None:
    class Finder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of_images, self.of_objects, self.idle = (nn.BatchNorm2d(3) for _ in range(3))

        def forward(self, images: torch.Tensor) -> None:
            self.of_objects(self.of_images(images)[:0 if images.mean() < 1 else None])

    one, other = Finder(), Finder()
    one.idle.running_mean.fill_(5)
    dark, bright = torch.zeros(4, 3, 2, 2), batches(4)[0] + 9
    adapt_statistics(one, [dark, bright, dark])
    adapt_statistics(other, [bright])
    torch.testing.assert_close(one.of_objects.state_dict(), other.of_objects.state_dict())
    torch.testing.assert_close(one.of_images.running_mean, other.of_images.running_mean / 3)
    assert one.idle.running_mean.eq(5).all()


def test_what_was_learned_before_leaves_no_trace() -> None:
    one, other = copy.deepcopy(fresh("timm/test_resnet")), copy.deepcopy(fresh("timm/test_resnet"))
    for norm in norms(other):
        norm.running_mean.add_(5)
        norm.running_var.mul_(7)
    for model in (one, other):
        adapt_statistics(model, batches(4, 4))
    assert one.weights_hash() == other.weights_hash()


def test_dropout_and_drop_path_rest_meanwhile() -> None:
    model = copy.deepcopy(fresh("timm/resnet10t"))
    assert model.set_drop_path(0.9) > 0
    before = torch.get_rng_state()
    adapt_statistics(model, batches(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_of_one_image_is_left_out() -> None:
    one, other = copy.deepcopy(fresh("timm/test_resnet")), copy.deepcopy(fresh("timm/test_resnet"))
    adapt_statistics(one, batches(4, 1))
    adapt_statistics(other, batches(4))
    assert one.weights_hash() == other.weights_hash()


def test_without_batch_norm_nothing_happens() -> None:
    model = copy.deepcopy(fresh("timm/test_vit"))
    before = model.weights_hash()
    assert adapt_statistics(model, batches(1)) == 0
    assert model.weights_hash() == before


def test_single_images_alone_are_refused_and_leave_the_statistics_alone() -> None:
    model = copy.deepcopy(fresh("timm/test_resnet"))
    before = model.weights_hash()
    with pytest.raises(DataError, match=r"none has two images. Give more images.* batch_norm=frozen"):
        adapt_statistics(model, batches(1, 1))
    assert model.weights_hash() == before


def test_a_plan_takes_the_statistics_of_the_pictures_without_augmentation(tmp_path: Path) -> None:
    parts, start = small.splits(tmp_path), small.model()
    train, val = (Pictures(part, small.SETTINGS, budget=1e9) for part in (parts.train, parts.val))
    context = small.context(tmp_path, small.Events())
    found = adapted(start, small.plan(batch_norm="adapt", augment="strong"), train, val, context)
    expected = copy.deepcopy(start.backbone)
    adapt_statistics(expected, [torch.stack([small.SETTINGS(sample.source) for sample in parts.train.samples])])
    for mine, theirs in zip(norms(found.backbone), norms(expected), strict=True):
        torch.testing.assert_close(mine.running_mean, theirs.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.running_var, theirs.running_var, rtol=1e-3, atol=1e-5)


def test_a_balanced_draw_balances_the_new_head_too(tmp_path: Path) -> None:
    parts, context = small.splits(tmp_path, train=21), small.context(tmp_path, small.Events())
    rare = dataclasses.replace(parts, train=parts.train.subset([n for n in range(21) if n % 2 or n < 6]))
    train, val = (Pictures(part, small.SETTINGS, budget=1e9) for part in (rare.train, rare.val))
    start = small.model()
    drawn, weighted, plain = (adapted(start, small.plan(batch_norm="adapt", **more), train, val, context).head
                              for more in ({"sampling": "balanced"}, {"class_weights": "balanced"}, {}))
    assert torch.equal(drawn.linear.bias, weighted.linear.bias)
    assert not torch.equal(drawn.linear.bias, plain.linear.bias)


def test_a_plan_gives_the_head_that_the_probe_would_solve_on_the_new_features(tmp_path: Path) -> None:
    """The head of the start was solved on features that are no more; the first steps would undo the backbone."""
    parts, context = small.splits(tmp_path), small.context(tmp_path, small.Events())
    start = Probe().fit(small.model(), parts, context)
    train, val = (Pictures(part, small.SETTINGS, budget=1e9) for part in (parts.train, parts.val))
    found = adapted(start, small.plan(batch_norm="adapt"), train, val, context)
    expected = Probe().fit(dataclasses.replace(start, backbone=found.backbone), parts, context)
    torch.testing.assert_close(found.head.state_dict(), expected.head.state_dict(), rtol=1e-2, atol=1e-3)
    assert (found.head.linear.weight - start.head.linear.weight).abs().max() > 0.1
    assert "on validation, " in context.listen.notes()
    assert " before" in context.listen.notes()
