"""Segmenters: every architecture on every kind of backbone, with the backbone's own maps in front."""

import pytest
import torch
from torch import nn

from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone
from headstart.segmenters.head import STRIDES, features
from headstart.segmenters.segmenter import SEGMENTERS
from headstart.segmenters.unet import Unet

ALL = sorted(SEGMENTERS.names())
BACKBONES = ("efficientnet_lite0", "mobilenet_v2", "convnext_tiny", "vgg16")


@pytest.fixture(scope="module")
def backbones() -> dict[str, Backbone]:
    return {name: resolve.load(name, pretrained=name.startswith(("efficientnet", "mobilenet")))[0]
            for name in BACKBONES}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_logits_have_the_size_of_the_images_and_every_weight_learns(backbones: dict[str, Backbone], backbone: str,
                                                                    name: str) -> None:
    torch.manual_seed(0)
    model = backbones[backbone]
    head = SEGMENTERS.get(name)().build(model, 5)
    images = torch.randn(2, 3, 64, 96)
    logits = head(model.maps(images), images)
    assert logits.shape == (2, 5, 64, 96)
    assert logits.dtype == torch.float32
    logits.square().mean().backward()
    silent = [key for key, parameter in head.named_parameters() if parameter.grad is None]
    assert not silent


@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_one_small_image_can_be_learnt_from(backbones: dict[str, Backbone], name: str) -> None:
    model = backbones["efficientnet_lite0"]
    head, images = SEGMENTERS.get(name)().build(model, 3).train(), torch.randn(1, 3, 32, 32)
    head(model.maps(images), images).square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters() if parameter.grad is not None)
    large = torch.randn(2, 3, 64, 64)
    before = {key: value.clone() for key, value in head.state_dict().items() if "running_mean" in key}
    head(model.maps(large), large)
    assert all(not torch.equal(value, head.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_the_decoder_reads_are_the_backbones_own_maps(backbones: dict[str, Backbone], backbone: str) -> None:
    model = backbones[backbone].eval()
    head = Unet().build(model, 2)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = model.maps(images)
        found = features(maps, images, head.sources)
    assert torch.equal(found[0], images)
    for stride, one in zip(STRIDES, found[1:], strict=True):
        if stride in maps:
            assert float((one - maps[stride]).abs().max()) <= 1e-5
        else:
            assert one.shape == (1, 0, 64 // stride, 64 // stride)


def test_a_plain_transformer_gets_a_pyramid_of_its_one_map() -> None:
    model, _ = resolve.load("timm/vit_tiny_patch16_224", pretrained=False)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        maps = model.maps(images)
        found = features(maps, images, Unet().build(model, 2).sources)
    assert [one.shape[-1] for one in found] == [224, 112, 56, 28, 14, 7]
    assert torch.equal(found[4], maps[16])
    assert torch.equal(found[3][..., ::2, ::2], maps[16])


def test_a_head_takes_over_rows_by_class_and_all_else(backbones: dict[str, Backbone]) -> None:
    torch.manual_seed(0)
    old, new = (Unet(width=16).build(backbones["efficientnet_lite0"], classes) for classes in (3, 2))
    before = new.classifier.weight.detach().clone()
    new.take_over(old, [(1, 2)])
    assert torch.equal(new.classifier.weight[1], old.classifier.weight[2])
    assert torch.equal(new.classifier.weight[0], before[0])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(new.decoder.parameters(), old.decoder.parameters(),
                                                                 strict=True))


def test_a_narrower_decoder_has_fewer_parameters(backbones: dict[str, Backbone]) -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    small, large = (Unet(width=width).build(backbones["efficientnet_lite0"], 2) for width in (32, 128))
    assert count(small) < count(large) / 2
