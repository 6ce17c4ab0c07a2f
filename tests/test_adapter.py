"""Adapters against the formulas of their papers, written out in float64; which layers get one; what is refused."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import headstart
from headstart.adapter import (
    PARAMETERS,
    Adapter,
    Kind,
    Recipe,
    adaptable,
    adapter_megabytes,
    adapter_parameters,
    attach,
    detach,
    put_on,
)
from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone
from headstart.backbones.source import BackboneSpec, Source
from headstart.cli import application
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, IntegrityError, ResourceError
from headstart.events import silent
from headstart.job import METHODS
from headstart.model import Model
from headstart.tasks.classification import Classification
from tests.training.small import SETTINGS, context, model, splits

RANK, ALPHA = 2, 6.0


class Standardised(nn.Conv2d):
    """A convolution with weights of mean zero, as weight standardisation has them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(images, self.weight - self.weight.mean(), self.bias)


class Small(Backbone):
    """One layer of each kind that matters here."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = BackboneSpec(architecture="small", source="timm", family="none", license="mit",
                                 preprocessing=Preprocessing(size=8))
        self.width = 12
        self.model = nn.ModuleDict({
            "stem": nn.Conv2d(3, 8, 3, padding=1),
            "wide": nn.Conv2d(8, 16, 3, padding=1),
            "point": nn.Conv2d(16, 12, 1),
            "depthwise": nn.Conv2d(12, 12, 3, padding=1, groups=12),
            "dilated": nn.Conv2d(12, 12, 3, padding=2, dilation=2),
            "mirrored": nn.Conv2d(12, 12, 3, padding=1, padding_mode="reflect"),
            "standardised": Standardised(12, 12, 1),
            "linear": nn.Linear(12, 12), "read": nn.Linear(12, 12), "unused": nn.Linear(12, 12)})

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        for name, layer in self.model.items():
            if name == "linear":
                images = images.mean((2, 3))
            if name == "read":
                images = nn.functional.linear(images, layer.weight, layer.bias)
            elif name != "unused":
                images = layer(images)
        return images

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        return {}

    def stages(self) -> list[nn.Module]:
        return list(self.model.values())


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small().eval()


def trained(backbone: Backbone, kind: Kind, layers: tuple[str, ...]) -> tuple[Backbone, Adapter]:
    """Return the backbone with an adapter of random numbers, merged."""
    recipe = Recipe(kind=kind, layers=layers, rank=RANK, alpha=ALPHA)
    adapted = attach(backbone, recipe, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if PARAMETERS.search(name):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return detach(adapted, recipe)


def matrix(tensor: torch.Tensor) -> np.ndarray:
    """Return float64 [outputs, the rest]."""
    return tensor.detach().double().numpy().reshape(len(tensor), -1)


def low_rank(adapter: Adapter, layer: str) -> np.ndarray:
    first, second = (matrix(adapter.tensors[f"{layer}.lora_{factor}.default.weight"]) for factor in "AB")
    return ALPHA / RANK * second @ first


LAYERS = ("model.wide", "model.point", "model.linear")


@pytest.mark.parametrize("layer", LAYERS)
def test_lora_adds_the_scaled_product_of_the_factors(small, layer):
    merged, adapter = trained(small, "lora", LAYERS)
    expected = matrix(small.get_submodule(layer).weight) + low_rank(adapter, layer)
    np.testing.assert_allclose(matrix(merged.get_submodule(layer).weight), expected, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_dora_gives_the_changed_directions_the_learned_lengths(small, layer):
    merged, adapter = trained(small, "dora", LAYERS)
    direction = matrix(small.get_submodule(layer).weight) + low_rank(adapter, layer)
    lengths = adapter.tensors[f"{layer}.lora_magnitude_vector.default.weight"].double().numpy().reshape(-1, 1)
    expected = lengths * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    np.testing.assert_allclose(matrix(merged.get_submodule(layer).weight), expected, atol=1e-6)


@pytest.mark.parametrize("layer", [*LAYERS, "model.depthwise"])
def test_ia3_multiplies_each_output_by_its_factor(small, layer):
    merged, adapter = trained(small, "ia3", (*LAYERS, "model.depthwise"))
    before, after = small.get_submodule(layer), merged.get_submodule(layer)
    factor = adapter.tensors[f"{layer}.ia3_l.default"].double().numpy().reshape(-1, 1)
    np.testing.assert_allclose(matrix(after.weight), factor * matrix(before.weight), atol=1e-6)
    np.testing.assert_allclose(matrix(after.bias), factor * matrix(before.bias), atol=1e-6)


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_a_fresh_adapter_changes_no_bit_of_the_output(small, kind):
    recipe = Recipe(kind=kind, layers=LAYERS, rank=RANK)
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(attach(small, recipe, seed=0).eval()(images), small(images))


def test_sizes_are_those_of_the_factors(small):
    adapted = attach(small, Recipe(kind="lora", layers=LAYERS, rank=RANK), seed=0)
    count = RANK * ((8 * 9 + 16) + (16 + 12) + (12 + 12))
    assert adapter_parameters(adapted) == count
    assert adapter_megabytes(adapted) == pytest.approx(4 * count / 1e6)
    assert adapter_megabytes(small) is None


def test_lora_goes_to_plain_layers_that_the_forward_pass_calls(small):
    assert adaptable(small, "lora", rank=RANK) == ("model.wide", "model.point", "model.linear")


def test_ia3_goes_to_grouped_and_dilated_convolutions_too(small):
    assert adaptable(small, "ia3") == tuple(f"model.{name}" for name in (
        "wide", "point", "depthwise", "dilated", "mirrored", "linear"))


def test_dora_leaves_out_a_layer_with_an_output_of_zero_weights(small):
    with torch.no_grad():
        small.model["point"].weight[3] = 0
    assert adaptable(small, "dora", rank=RANK) == ("model.wide", "model.linear")
    assert "model.point" in adaptable(small, "lora", rank=RANK)


def test_a_layer_that_the_adapter_would_not_make_smaller_is_left_out(small):
    # 12 x 12 = 144 weights; two factors of rank 6 have as many. 16 x 72 = 1152 against 6 x 88 = 528.
    assert adaptable(small, "lora", rank=6) == ("model.wide", "model.point")
    with pytest.raises(ConfigError, match=r"lora: small has no layer in which an adapter of rank 40 is smaller"):
        adaptable(small, "lora", rank=40)


def test_named_layers_are_taken_whatever_their_size_and_the_stem_too(small):
    assert adaptable(small, "lora", wanted=("stem", "linear"), rank=40) == ("model.stem", "model.linear")


def test_an_unknown_layer_is_answered_with_the_nearest(small):
    with pytest.raises(ConfigError, match=r'lora: small has no layer with "model.liner" in its name that can have an '
                                          r'adapter. Did you mean "model.linear"\?'):
        adaptable(small, "lora", wanted=("model.liner",), rank=RANK)


def test_a_backbone_without_plain_layers_is_refused(small):
    small.model = nn.ModuleDict({"stem": Standardised(3, 12, 1)})
    small.pooled = lambda images: small.model["stem"](images).mean((2, 3))
    with pytest.raises(ConfigError, match="small has no layer that can have an adapter"):
        adaptable(small, "lora", rank=RANK)


def test_looking_for_layers_leaves_the_backbone_alone(small):
    small.train()
    before = small.weights_hash()
    adaptable(small, "lora", rank=RANK)
    assert small.training
    assert small.weights_hash() == before
    assert not any(module._forward_hooks for module in small.modules())


def test_the_global_generator_is_left_as_it_was(small):
    before = torch.get_rng_state()
    one, two = (attach(small, Recipe(kind="lora", layers=LAYERS), seed=seed).weights_hash() for seed in (5, 5))
    assert one == two
    assert torch.equal(torch.get_rng_state(), before)


def test_an_adapter_that_lacks_a_tensor_is_refused(small):
    _, adapter = trained(small, "lora", LAYERS)
    short = dataclasses.replace(adapter, tensors=dict(list(adapter.tensors.items())[1:]))
    with pytest.raises(IntegrityError, match=r"a\.safetensors: the adapter's tensors are not those of its layers"):
        put_on(small, short, where="a.safetensors")


def with_adapter(small: Small) -> Model:
    merged, adapter = trained(small, "lora", LAYERS)
    plain = Model.fresh(merged, Classification(), ("right", "left"), preprocessing=SETTINGS)
    return dataclasses.replace(plain, adapter=adapter)


def test_a_damaged_file_a_model_file_and_a_missing_one_are_refused(small, tmp_path):
    made, file = with_adapter(small), tmp_path / "adapter.safetensors"
    made.save_adapter(file)
    made.save(tmp_path / "model.safetensors")
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"adapter\.safetensors: the weights are not those that were saved"):
        Model.with_adapter(file, small)
    with pytest.raises(IntegrityError, match=r"not a Headstart adapter: its header lacks adapter, backbone_sha256"):
        Model.with_adapter(tmp_path / "model.safetensors", small)
    with pytest.raises(ConfigError, match="there is no adapter here"):
        Model.with_adapter(tmp_path / "none.safetensors", small)


@pytest.fixture
def restricted(small, tmp_path, monkeypatch) -> Path:
    """The file of an adapter on weights that are not for every use, which are there to be loaded."""
    spec = next(spec for spec in resolve.search() if spec.license == "cc-by-nc-4.0")
    spec = spec.model_copy(update={"preprocessing": SETTINGS})
    small.spec = spec

    class Here(Source):
        def find(self, name: str) -> BackboneSpec | None:
            return spec if name == spec.architecture else None

        def specs(self) -> list[BackboneSpec]:
            return [spec]

        def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
            return small

    monkeypatch.setattr(resolve, "named_source", lambda name: Here())
    with_adapter(small).save_adapter(tmp_path / "adapter.safetensors")
    return tmp_path / "adapter.safetensors"


def test_the_file_does_not_decide_which_licences_are_allowed(restricted):
    with pytest.raises(ConfigError, match=r"the licence of its weights is cc-by-nc-4.0.*--allow-licenses cc-by-nc-4.0"):
        Model.with_adapter(restricted)
    with pytest.raises(ConfigError, match=r"the licence of its weights is cc-by-nc-4.0"):
        headstart.predict(restricted, [])


@pytest.mark.parametrize("allowed", ["cc-by-nc-4.0", "any"])
def test_a_licence_that_the_caller_allows_will_do(restricted, allowed):
    assert Model.with_adapter(restricted, allow_licenses=[allowed]).classes == ("right", "left")


def test_predict_asks_for_the_licence_and_takes_it(restricted):
    words = ["predict", str(restricted), str(restricted.with_name("no.png"))]
    refused = CliRunner().invoke(application(), words)
    assert refused.exit_code == ConfigError.exit_code
    assert "add --allow-licenses cc-by-nc-4.0" in refused.stderr
    assert CliRunner().invoke(application(), [*words, "--allow-licenses", "mit,cc-by-nc-4.0"]).exit_code == 0


def test_a_model_whose_backbone_was_trained_on_has_no_adapter_to_save(small, tmp_path):
    made = with_adapter(small)
    assert made.has_adapter
    with torch.no_grad():
        made.backbone.model["stem"].bias += 0.1
    assert not made.has_adapter
    with pytest.raises(ConfigError, match="this model has no adapter to save"):
        made.save_adapter(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_without_peft_the_error_says_what_to_install(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "headstart.injection", raising=False)
    monkeypatch.delattr(headstart, "injection", raising=False)
    method, parts = METHODS.get(kind)(), splits(tmp_path / "data")
    with pytest.raises(ResourceError, match=r"adapters need the package peft.*pip install 'headstart\[adapters\]'"):
        method.refuse_unfit(model(), parts)
    with pytest.raises(ResourceError, match=r"adapters need the package peft"):
        method.fit(model(), parts, context(tmp_path, silent))


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
@pytest.mark.parametrize(("field", "value"), [("scope", "all"), ("batch_norm", "train")])
def test_what_would_train_more_than_the_adapter_is_refused(kind, field, value):
    with pytest.raises(ConfigError, match=rf"{kind}: {field}: Input should be '\w+' \(got '{value}'\)"):
        METHODS.parse({"method": kind, field: value})
