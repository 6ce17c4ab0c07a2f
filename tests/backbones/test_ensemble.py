"""An ensemble is one model, and its logits are the mean of its members' calibrated logits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.backbones import resolve
from headstart.ensemble import mean_of
from headstart.errors import ConfigError
from headstart.features.eager import Eager
from headstart.features.exported import Exported
from headstart.features.identity import identity
from headstart.model import Model
from tests.training.small import SETTINGS, model, pictures

TEMPERATURES = (0.5, 1.0, 2.5)


def member(seed: int, *, backbone: int | None = None, task: str = "classification") -> Model:
    """A model with random backbone (of seed `backbone`, if given) and head."""
    made = model(seed=seed if backbone is None else backbone, task=task)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return replace(made, temperature=TEMPERATURES[seed % 3])


def mean_logits(members: list[Model], paths: list[Path]) -> np.ndarray:
    """float64, model by model: what the one model must give."""
    return np.mean([m.logits(paths).astype(np.float64) / m.temperature for m in members], axis=0)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return pictures(tmp_path_factory.mktemp("pictures"), 6)


def test_logits_are_the_mean_of_the_calibrated_logits(paths: list[Path]) -> None:
    members = [member(seed) for seed in range(3)]
    whole = mean_of(members)
    assert whole.backbone.spec.architecture == "3*timm/test_resnet"
    assert whole.temperature == 1.0
    np.testing.assert_allclose(whole.logits(paths), mean_logits(members, paths), rtol=0, atol=1e-5)


def test_equal_backbones_are_kept_once(paths: list[Path]) -> None:
    members = [member(seed, backbone=0) for seed in range(3)]
    whole = mean_of(members)
    assert whole.backbone is members[0].backbone
    np.testing.assert_allclose(whole.logits(paths), mean_logits(members, paths), rtol=0, atol=1e-5)


def test_some_equal_backbones_are_kept_once_and_count_as_often_as_they_were(paths: list[Path]) -> None:
    members = [member(0, backbone=5), member(1, backbone=6), member(2, backbone=5)]
    whole = mean_of(members)
    assert whole.backbone.spec.architecture == "2*timm/test_resnet"
    np.testing.assert_allclose(whole.logits(paths), mean_logits(members, paths), rtol=0, atol=1e-5)


def test_an_ensemble_of_ensembles_is_one(paths: list[Path], tmp_path: Path) -> None:
    pairs = [mean_of([member(2 * i), member(2 * i + 1)]) for i in range(2)]
    whole = mean_of(pairs)
    assert whole.backbone.spec.architecture == "2*2*timm/test_resnet"
    whole.save(tmp_path / "model.safetensors")
    np.testing.assert_allclose(Model.load(tmp_path / "model.safetensors").logits(paths), mean_logits(pairs, paths),
                               rtol=0, atol=1e-5)


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_saved_and_loaded_it_gives_the_same_bits(paths: list[Path], tmp_path: Path, task: str) -> None:
    whole = mean_of([member(seed, task=task) for seed in range(2)])
    whole.save(tmp_path / "model.safetensors")
    loaded = Model.load(tmp_path / "model.safetensors")
    assert loaded.backbone.spec == whole.backbone.spec
    assert loaded.backbone.weights_hash() == whole.backbone.weights_hash()
    assert np.array_equal(loaded.logits(paths), whole.logits(paths))


def test_the_exported_graph_agrees_with_pytorch() -> None:
    whole = mean_of([member(seed) for seed in range(3)])
    pixels = np.random.default_rng(0).integers(0, 256, (4, SETTINGS.size, SETTINGS.size, 3)).astype(np.uint8)
    expected = Eager(whole.backbone, SETTINGS, device="cpu").pooled(pixels)
    found = Exported(whole.backbone, SETTINGS).pooled(pixels)
    assert found.shape == (4, whole.backbone.width)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_features_of_other_members_have_another_key() -> None:
    one, other = (mean_of([member(0), member(seed)]) for seed in (1, 2))
    found = [identity(m.backbone, SETTINGS, engine="eager") for m in (one, other, member(0))]
    assert len({part["weights"] for part in found}) == 3
    assert found[0]["code"] != found[2]["code"]


def test_maps_stages_and_freezing_go_through_all_members() -> None:
    backbone = mean_of([member(0), member(1)]).backbone
    single = member(0).backbone
    images = torch.zeros(1, 3, 64, 64)
    assert {stride: maps.shape[1] for stride, maps in backbone.maps(images).items()} == {
        stride: 2 * maps.shape[1] for stride, maps in single.maps(images).items()}
    assert len(backbone.stages()) == len(single.stages())
    assert sorted(id(p) for group in backbone.groups() for p in group) == sorted(id(p) for p in backbone.parameters())
    backbone.freeze(1).train()
    frozen = [not any(p.requires_grad for p in group) for group in backbone.groups()]
    assert frozen == [True, *[False] * (len(frozen) - 1)]
    assert not any(inner.training for inner in backbone.stages()[0].modules() if list(inner.buffers(recurse=False)))


def test_its_record_counts_all_members() -> None:
    one, three = resolve.find("efficientnet_lite0"), resolve.find("3*efficientnet_lite0")
    assert (three.parameters, three.gmacs) == (3 * one.parameters, pytest.approx(3 * one.gmacs))
    assert (three.source, three.license, three.top1) == ("ensemble", one.license, None)


def test_an_ensemble_can_not_be_chosen_as_a_pretrained_backbone() -> None:
    with pytest.raises(ConfigError, match=r'"3\*efficientnet_lite0": an ensemble has no pretrained weights. '
                                          r"`headstart adapt DATA --folds K` makes one; start from it with"):
        resolve.load("3*efficientnet_lite0")
    with pytest.raises(ConfigError, match='unknown backbone "nothing"'):
        resolve.find("3*nothing")
