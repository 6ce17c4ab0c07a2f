"""Every kind of backbone gives the same features by every way of computing them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing
from headstart.events import Event, Note
from headstart.features import engine
from headstart.features.engine import extract

KINDS = ("timm/test_resnet", "timm/test_vit", "timm/test_efficientnet", "timm/test_convnext")


@pytest.fixture(params=KINDS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    return resolve.load(request.param, pretrained=False)[0]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i:02}.png" for i in range(48)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8))
        coarse.resize((100, 80), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.fixture(autouse=True)
def _few_are_worth_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WORTH_EXPORTING", 48 * 32**2)


def test_exported_features_are_those_of_pytorch(backbone: Backbone, pictures: list[Path]) -> None:
    preprocessing: Preprocessing = backbone.spec.preprocessing
    heard: list[Event] = []
    with torch.no_grad():
        expected = backbone.eval().pooled(torch.stack([preprocessing(path) for path in pictures])).numpy()
    before = backbone.weights_hash()
    backbone.train()
    exported = extract(backbone, preprocessing, pictures, listen=heard.append)
    eager = extract(backbone, preprocessing, pictures[:1], listen=heard.append)
    assert not [event for event in heard if isinstance(event, Note)]
    scale = max(1.0, float(np.abs(expected).max()))
    assert np.abs(exported - expected).max() <= 1e-4 * scale
    assert np.abs(eager - expected[:1]).max() <= 1e-4 * scale
    assert backbone.training
    assert backbone.weights_hash() == before


def test_a_transformer_at_another_size_is_run_by_pytorch_and_standard_output_stays_clean(
        pictures: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    backbone = resolve.load("timm/test_vit", pretrained=False, size=64)[0]
    heard: list[Event] = []
    extract(backbone, backbone.spec.preprocessing, pictures, listen=heard.append)
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert len(notes) == 1
    assert notes[0].startswith("timm/test_vit can't be exported (UnsupportedOperatorError")
    assert capfd.readouterr().out == ""
