from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn

from headstart.backbones.resolve import load
from headstart.events import silent
from headstart.features.engine import extract
from headstart.selection.source_domain import SourceDomain, hellinger, layer_distances, source_domain
from tests.features.conftest import SMALL, Counting
from tests.selection.scenes import write_scenes


def by_integration(mean: float, variance: float, other: float, other_variance: float) -> float:
    x = np.linspace(-40, 40, 200_001)
    one, two = (np.exp(-(x - m)**2 / (2 * v)) / np.sqrt(2 * np.pi * v)
                for m, v in ((mean, variance), (other, other_variance)))
    return float(1 - np.sqrt(one * two).sum() * (x[1] - x[0]))


@pytest.mark.parametrize("numbers", [(0, 1, 0, 1), (0, 1, 2, 1), (0, 1, 0, 9), (-1, 0.5, 3, 4), (0, 1, 30, 1)])
def test_the_distance_is_that_of_integration_and_symmetric(numbers):
    mean, variance, other, other_variance = (np.array([float(number)]) for number in numbers)
    found = hellinger(mean, variance, other, other_variance)
    assert found[0] == pytest.approx(by_integration(*map(float, numbers)), abs=1e-6)
    assert found == pytest.approx(hellinger(other, other_variance, mean, variance))


def test_dead_channels_that_stay_dead_are_alike():
    found = hellinger(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert found == pytest.approx([0, 0], abs=1e-6)


def remembering(paths: list[Path]) -> Counting:
    """A backbone whose BatchNorms have seen just these pictures."""
    backbone = Counting()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    pixels = torch.from_numpy(np.stack([SMALL.pixels(path) for path in paths])).permute(0, 3, 1, 2)
    for norm in norms:  # each layer sees what those before it make of what they remember
        norm.momentum = 1.0
        norm.train()
        backbone(SMALL.normalise(pixels))
        norm.eval()
    return backbone


def test_the_images_of_the_pretraining_are_at_no_distance(tmp_path: Path):
    paths = sorted(write_scenes(tmp_path / "scenes", (8, 8)).rglob("*.png"))
    backbone = remembering(paths).eval()
    # The stored variance is that of a sample, n / (n - 1) larger.
    assert layer_distances(backbone, SMALL, paths, listen=silent) == pytest.approx([0, 0], abs=1e-4)
    dark = []
    for path in paths:
        dark.append(tmp_path / path.name)
        Image.fromarray(np.asarray(Image.open(path)) // 5).save(dark[-1])
    assert min(layer_distances(backbone, SMALL, dark, listen=silent)) > 0.05


def test_modes_and_statistics_stay_as_they_are(tmp_path: Path):
    paths = sorted(write_scenes(tmp_path / "scenes", (2, 2)).rglob("*.png"))
    backbone = Counting()
    before, hooks = backbone.weights_hash(), len(backbone.body[1]._forward_pre_hooks)
    backbone.train()
    layer_distances(backbone, SMALL, paths, listen=silent)
    assert backbone.weights_hash() == before
    assert backbone.body[1].training
    assert len(backbone.body[1]._forward_pre_hooks) == hooks


def test_noise_lies_farther_from_the_pretraining_than_photographs(tmp_path: Path):
    rng = np.random.default_rng(0)
    for place, photo in enumerate(load_sample_images().images):
        for number in range(6):
            top, left = rng.integers(0, 427 - 220), rng.integers(0, 640 - 220)
            Image.fromarray(photo[top:top + 220, left:left + 220]).save(tmp_path / f"photo{place}{number}.png")
            Image.fromarray(rng.integers(0, 256, (220, 220, 3), np.uint8)).save(tmp_path / f"noise{place}{number}.png")
    backbone, _ = load("efficientnet_lite0")

    def found(kind: str) -> SourceDomain:
        paths = sorted(tmp_path.glob(f"{kind}*.png"))
        features = extract(backbone, backbone.spec.preprocessing, paths, listen=silent)
        return source_domain(backbone, backbone.spec.preprocessing, paths, features, listen=silent)

    photos, noise = found("photo"), found("noise")
    assert noise.word == "unlike"
    assert photos.word != "unlike"
    assert noise.distance > 2 * photos.distance
    assert len(photos.layers) > 20
    assert photos.images == 12
    assert photos.to_json()["word"] == photos.word


class Plain(Counting):
    """A backbone without BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU())


def test_without_batchnorm_it_is_not_known(tmp_path: Path):
    paths = sorted(write_scenes(tmp_path / "scenes", (2, 2)).rglob("*.png"))
    found = source_domain(Plain(), SMALL, paths, np.zeros((4, 12), np.float32), listen=silent)
    assert (found.layers, found.distance, found.word, found.images) == ((), None, "not known", 0)
    assert found.confidence is None
