import contextlib
import copy

import pytest
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.training.recompute import recomputed
from tests.contracts.test_backbones import NAMES, fresh, images

# HRNet's modules write into the list of maps that they are given.
FAMILIES = (*NAMES, "timm/hrnet_w18_small", "torchvision/efficientnet_b0")
every_family = pytest.mark.parametrize("name", FAMILIES)


def prepared(name: str) -> Backbone:
    model = copy.deepcopy(fresh(name))
    model.set_drop_path(0.3)
    return model.train()


def passed(model: Backbone, pixels: torch.Tensor, *, recompute: bool) -> tuple[torch.Tensor, int]:
    """Return the loss, and the bytes that autograd keeps of the forward pass, parameters apart."""
    kept: dict[tuple[int, int], int] = {}
    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr(), tensor.numel()] = tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), \
            recomputed(model.stages()) if recompute else contextlib.nullcontext():
        loss = model(pixels).square().mean()
    return loss, sum(kept.values())


def trained(model: Backbone, pixels: torch.Tensor, *, recompute: bool) -> tuple[torch.Tensor, list, list]:
    """Return the loss, the gradients and the buffers after one backward pass, which comes after the context."""
    torch.manual_seed(3)
    with recomputed(model.stages()) if recompute else contextlib.nullcontext():
        loss = model(pixels).square().mean()
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters()], list(model.buffers())


def assert_equal(one: tuple, other: tuple) -> None:
    assert torch.equal(one[0], other[0])
    for kind in (1, 2):
        for a, b in zip(one[kind], other[kind], strict=True):
            assert (a is None and b is None) or torch.equal(a, b)


@every_family
def test_loss_gradients_and_statistics_are_the_same_to_the_bit(name: str) -> None:
    """In training mode, drop path and the pretrained models' own dropout included."""
    assert_equal(*(trained(prepared(name), images(name), recompute=on) for on in (False, True)))


@every_family
def test_less_is_kept(name: str) -> None:
    plain, little = (passed(prepared(name), images(name), recompute=on)[1] for on in (False, True))
    assert little < 0.75 * plain


def test_a_deep_network_keeps_a_fraction() -> None:
    plain, little = (passed(prepared("efficientnet_lite0"), images("efficientnet_lite0"), recompute=on)[1]
                     for on in (False, True))
    assert little < 0.15 * plain


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_vit"])
def test_frozen_stages_and_half_precision_change_nothing(name: str) -> None:
    found = []
    for recompute in (False, True):
        model = prepared(name).freeze(2).train()
        with torch.autocast("cpu", torch.bfloat16):
            torch.manual_seed(3)
            with recomputed(model.stages()) if recompute else contextlib.nullcontext():
                loss = model(images(name)).float().square().mean()
        loss.backward()
        found.append((loss.detach(), [p.grad for p in model.parameters()], list(model.buffers())))
    assert_equal(*found)


def test_statistics_move_once_a_step_over_many_steps() -> None:
    found = []
    for recompute in (False, True):
        model = prepared("timm/test_resnet")
        for _ in range(3):
            trained(model, images("timm/test_resnet"), recompute=recompute)
        found.append(model.weights_hash())
        assert {int(m.num_batches_tracked) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {3}
        assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert found[0] == found[1]


def test_without_gradients_nothing_is_kept_and_nothing_differs() -> None:
    model = copy.deepcopy(fresh("timm/test_resnet")).eval()
    with torch.no_grad(), recomputed(model.stages()):
        inside = model(images("timm/test_resnet"))
    with torch.no_grad():
        assert torch.equal(inside, model(images("timm/test_resnet")))


def test_the_modules_are_as_before_afterwards_also_after_an_error() -> None:
    model = prepared("timm/test_resnet")
    with pytest.raises(RuntimeError, match="channels"), recomputed(model.stages()):
        model(torch.zeros(2, 5, 64, 64))
    assert not any("forward" in vars(module) for module in model.modules())
    assert copy.deepcopy(model).weights_hash() == model.weights_hash()


def test_a_copy_that_is_made_meanwhile_computes_with_its_own_weights() -> None:
    model, pixels = prepared("timm/test_resnet"), images("timm/test_resnet")
    with recomputed(model.stages()):
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
    expected = trained(prepared("timm/test_resnet"), pixels, recompute=False)
    assert_equal(trained(other, pixels, recompute=False), expected)
