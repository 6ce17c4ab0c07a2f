"""Nearness: the mean features of the pretraining, read off the last BatchNorm, against closed forms and samples."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.source import BackboneSpec
from headstart.data.transforms import Preprocessing
from headstart.selection.nearness import expected_mean, nearness

SPEC = BackboneSpec(architecture="last", source="test", family="test", license="mit")


class Last(Backbone):
    """A BatchNorm with an activation after it, as trunks end."""

    def __init__(self, act: nn.Module, width: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bn, self.act, self.width = nn.BatchNorm2d(width), act, width
        self.spec = SPEC.model_copy(update={"preprocessing": Preprocessing(size=8, channels=width)})
        nn.init.normal_(self.bn.weight)
        nn.init.normal_(self.bn.bias)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(images)).mean((2, 3))

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        return {1: images}

    def stages(self) -> list[nn.Module]:
        return [self.bn]


def test_after_relu_it_is_the_mean_of_a_rectified_gaussian():
    backbone = Last(nn.ReLU())
    bias, scale = backbone.bn.bias.detach().numpy(), np.abs(backbone.bn.weight.detach().numpy())
    expected = bias * norm.cdf(bias / scale) + scale * norm.pdf(bias / scale)
    np.testing.assert_allclose(expected_mean(backbone), expected, atol=0.02)


@pytest.mark.parametrize("act", [nn.ReLU6(), nn.SiLU(), nn.Identity()], ids=["relu6", "silu", "none"])
def test_it_is_the_mean_of_what_images_like_the_pretraining_s_give(act):
    backbone = Last(act).eval()
    images = torch.randn(200, backbone.width, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = backbone.pooled(images).numpy()
    np.testing.assert_allclose(expected_mean(backbone), found.mean(axis=0), atol=0.02)
    assert nearness(backbone, found, None).distance < 0.05
    assert nearness(backbone, found + 3, None).distance > 1


def test_it_is_not_told_where_no_batchnorm_s_map_is_averaged():
    class Transformer(Last):
        def __init__(self) -> None:
            super().__init__(nn.ReLU())
            self.width = 7

    assert expected_mean(Transformer()) is None


def test_it_is_not_told_where_a_shortcut_is_added_to_the_batchnorm_s_map_before_pooling():
    class Residual(Last):
        def pooled(self, images: torch.Tensor) -> torch.Tensor:
            return self.act(self.bn(images) + images).mean((2, 3))

    backbone = Residual(nn.ReLU())
    assert expected_mean(backbone) is None
    assert nearness(backbone, np.ones((2, 5), np.float32), None).distance is None


def test_asking_for_it_changes_neither_the_mode_nor_the_statistics_nor_leaves_a_hook():
    backbone = Last(nn.ReLU(inplace=True)).train()
    before = backbone.weights_hash()
    assert expected_mean(backbone) is not None
    assert backbone.training
    assert backbone.weights_hash() == before
    assert not backbone.bn._forward_hooks


def test_confidence_and_entropy_are_those_of_the_answers():
    sure, lost = np.eye(4)[[0, 1]], np.full((2, 4), 0.25)
    features = np.zeros((2, 5), np.float32)
    assert nearness(Last(nn.ReLU()), features, sure).confidence == 1
    assert nearness(Last(nn.ReLU()), features, sure).entropy == pytest.approx(0, abs=1e-9)
    assert nearness(Last(nn.ReLU()), features, lost).entropy == pytest.approx(1)
