"""Weights from a file of the user's own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headstart.backbones import resolve
from headstart.errors import ConfigError, IntegrityError
from headstart.files import sha256_file

NAME = "timm/test_resnet"


def trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    model = resolve.load(NAME, pretrained=False)[0].model
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def loaded(path: Path, suffix: str = "", channels: int = 3) -> tuple[dict[str, torch.Tensor], object, str]:
    backbone, note = resolve.load(f"{NAME}@{path}{suffix}", channels=channels)
    return backbone.model.state_dict(), backbone, note


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.backbone."])
@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_pth_is_read_under_prefixes_and_keys(tmp_path: Path, prefix: str, key: str | None) -> None:
    tensors = {prefix + name: tensor for name, tensor in trained().items()}
    torch.save({key: tensors, "epoch": 3} if key else tensors, tmp_path / "w.pth")
    found, backbone, note = loaded(tmp_path / "w.pth")
    assert all(torch.equal(found[name], tensor) for name, tensor in trained().items())
    assert note == ""
    assert backbone.spec.source == "local"
    assert backbone.spec.weights_sha256 == sha256_file(tmp_path / "w.pth")


def test_safetensors_with_a_classifier_of_another_size_says_so(tmp_path: Path) -> None:
    tensors = trained()
    width = tensors["layer4.0.bn2.weight"].shape[0]
    tensors |= {"fc.weight": torch.ones(37, width), "fc.bias": torch.zeros(37)}
    save_file(tensors, tmp_path / "w.safetensors")
    _, backbone, note = loaded(tmp_path / "w.safetensors")
    assert "classifier of 37 classes is set apart" in note
    assert torch.equal(backbone.classifier.weight, torch.ones(37, width))


def test_what_does_not_fit_is_reported_name_by_name(tmp_path: Path) -> None:
    tensors = trained()
    del tensors["bn1.weight"]
    tensors["extra.weight"] = torch.zeros(1)
    tensors["layer1.0.conv1.weight"] = torch.zeros(2, 2, 1, 1)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path / "w.safetensors")
    for part in ("1 in the model but not in the file", "bn1.weight", "1 in the file but not in the model",
                 "extra.weight", "1 of another shape", "layer1.0.conv1.weight: [2, 2, 1, 1] in the file", "?partial"):
        assert part in str(error.value)
    found, _, note = loaded(tmp_path / "w.safetensors", "?partial")
    assert torch.equal(found["conv1.0.weight"], tensors["conv1.0.weight"])
    assert "bn1.weight" in note


def test_file_of_another_architecture_does_not_load_even_partially(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="no tensor fits"):
        loaded(tmp_path / "w.safetensors", "?partial")


def test_rgb_weights_are_adapted_to_grey(tmp_path: Path) -> None:
    save_file(trained(), tmp_path / "w.safetensors")
    found, _, _ = loaded(tmp_path / "w.safetensors", channels=1)
    expected = trained()["conv1.0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(found["conv1.0.weight"], expected)


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return exec, ("raise SystemExit('code ran')",)


def test_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": trained(), "hook": Payload()}, tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="could run code"):
        loaded(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 torn"])
def test_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=name):
        loaded(tmp_path / name)


def test_file_without_a_state_dict_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="it holds: epoch, lr"):
        loaded(tmp_path / "w.pth")


def test_absent_file_and_foreign_suffix_are_configuration_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file of weights"):
        loaded(tmp_path / "w.pth")
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r'not from "\.onnx"'):
        loaded(tmp_path / "w.onnx")


def test_unknown_architecture_before_the_at_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='Did you mean "resnet50"'):
        resolve.load(f"resnet5O@{tmp_path}/w.pth")


def test_record_rebuilds_when_the_file_is_gone(tmp_path: Path) -> None:
    save_file(trained(), tmp_path / "w.safetensors")
    _, backbone, _ = loaded(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").unlink()
    other = resolve.rebuild(backbone.spec)
    other.load_state_dict(backbone.state_dict())
    assert other.spec == backbone.spec
