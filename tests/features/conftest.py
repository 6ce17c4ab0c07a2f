"""A backbone small enough to train on nothing, that counts how often it is run, and pictures for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing
from headstart.features import engine
from headstart.types import Sample

SMALL = Preprocessing(size=16, crop_fraction=1.0)


class Counting(Backbone):
    """Two convolutions with batch norm. `runs` counts the images that went through PyTorch."""

    def __init__(self, width: int = 12, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
                                  nn.Conv2d(8, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        nn.init.normal_(self.body[1].running_mean)
        self.spec = BackboneSpec(architecture="counting", source="tests", family="none", license="mit",
                                 preprocessing=SMALL)
        self.width = width
        self.runs = 0

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        self.runs += images.shape[0]
        return self.body(images).mean((2, 3))

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        return {2: self.body(images)}

    def stages(self) -> list[nn.Module]:
        return [self.body]


@pytest.fixture(autouse=True)
def _afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing exported yet, 48 of the pictures are worth it, and no cache but the test's own."""
    engine._exported.clear()
    monkeypatch.setattr(engine, "WORTH_EXPORTING", 48 * SMALL.size**2)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "user_cache"))


@pytest.fixture
def backbone() -> Counting:
    return Counting()


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Sixty PNG files of noise in different sizes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{i:03}.png" for i in range(60)]
    for i, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (20 + i % 7, 24, 3), np.uint8)).save(path)
    return paths


def dataset_of(paths: list[Path]) -> Dataset:
    samples = tuple(Sample(path.name, path, i % 2) for i, path in enumerate(paths))
    return Dataset(samples, ("a", "b"), "classification", "class_folders")


@pytest.fixture
def dataset(pictures: list[Path]) -> Dataset:
    return dataset_of(pictures)
