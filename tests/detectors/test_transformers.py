"""Published detectors of transformers: tiny ones with random weights give what the library that saved them gives."""

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import RTDetrImageProcessorPil

from headstart.backbones import resolve
from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone
from headstart.data.transforms import Preprocessing
from headstart.detectors.detector import DETECTORS
from headstart.detectors.head import DetectionHead, Target
from headstart.detectors.set_prediction import DENOISING
from headstart.errors import ConfigError, HeadstartError, IntegrityError, ResourceError
from headstart.methods.scratch import Scratch
from headstart.model import Model
from headstart.tasks.detection import Detection
from tests.detectors.small_transformers import NAMES, tiny

SOME: list[Target] = [{"boxes": torch.tensor([[4.0, 4, 40, 44], [50, 10, 90, 60]]), "labels": torch.tensor([0, 2])},
                      {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]
every_kind = pytest.mark.parametrize("kind", NAMES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind, as `save_pretrained` writes them."""
    place = tmp_path_factory.mktemp("hub")
    for kind in NAMES:
        tiny(kind).save_pretrained(place / kind)
    return place


def loaded(name: str) -> TransformersDetectorBackbone:
    backbone, _ = resolve.load(name)
    assert isinstance(backbone, TransformersDetectorBackbone)
    return backbone


def head_of(backbone: TransformersDetectorBackbone, **settings: Any) -> DetectionHead:
    assert backbone.brought is not None
    part = DETECTORS.parse({"detector": "transformers", "confidence": 1e-6, **settings})
    head = part.build(backbone, len(backbone.brought.classes))
    head.model.load_state_dict(backbone.brought.tensors)
    return head.eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 96, generator=torch.Generator().manual_seed(1))


@every_kind
def test_boxes_are_those_of_the_library(kind: str, saved: Path) -> None:
    backbone, theirs, pixels = loaded(f"transformers/{kind}@{saved / kind}"), tiny(kind), images()
    with torch.no_grad():
        found = head_of(backbone).detect(backbone.maps(pixels), pixels)
        expected = RTDetrImageProcessorPil().post_process_object_detection(
            theirs(pixels), threshold=1e-6, target_sizes=[(64, 96)] * 2)
    for mine, its in zip(found, expected, strict=True):
        count = len(its["scores"])  # the library keeps as many as there are queries
        assert count == 20
        torch.testing.assert_close(mine["scores"][:count], its["scores"])
        assert torch.equal(mine["labels"][:count], its["labels"])
        cut = torch.tensor([96.0, 64, 96, 64])
        torch.testing.assert_close(mine["boxes"][:count], torch.minimum(its["boxes"].clamp(min=0), cut), rtol=1e-4,
                                   atol=1e-3)


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_losses_are_those_of_the_library_and_follow_the_seed(kind: str, saved: Path, training: bool) -> None:
    backbone, pixels = loaded(f"transformers/{kind}@{saved / kind}"), images()
    head = head_of(backbone).train(training)
    theirs = tiny(kind).train(training)
    theirs.model.backbone.eval()
    labels = [{"class_labels": one["labels"], "boxes": torch.stack([
        (one["boxes"][:, 0] + one["boxes"][:, 2]) / 192, (one["boxes"][:, 1] + one["boxes"][:, 3]) / 128,
        (one["boxes"][:, 2] - one["boxes"][:, 0]) / 96, (one["boxes"][:, 3] - one["boxes"][:, 1]) / 64], 1)}
        for one in SOME]
    maps = {stride: one.detach() for stride, one in backbone.maps(pixels).items()}
    again = copy.deepcopy(head)
    answers = []
    for made in (head, again):
        torch.manual_seed(3)
        answers.append(made.losses(maps, pixels, SOME))
    torch.manual_seed(3)
    expected = theirs(pixels, labels=labels).loss_dict
    assert any("_dn_" in name for name in expected) == training
    assert answers[0].keys() == expected.keys()
    for name, value in answers[0].items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
        assert torch.equal(value, answers[1][name])


@every_kind
def test_gradient_reaches_every_block_of_the_trunk(kind: str, saved: Path) -> None:
    backbone, pixels = loaded(f"transformers/{kind}@{saved / kind}"), images()
    head = head_of(backbone).train()
    torch.stack(list(head.losses(backbone.train().maps(pixels), pixels, SOME).values())).sum().backward()
    assert all(any(p.grad is not None and p.grad.abs().sum() > 0 for p in stage.parameters())
               for stage in backbone.stages())


@every_kind
def test_after_inference_the_head_still_learns(kind: str, saved: Path) -> None:
    # The library keeps anchors from one call to the next, and what inference mode made can't be trained through.
    backbone, pixels = loaded(f"transformers/{kind}@{saved / kind}"), images(1)[..., :32]
    head = head_of(backbone)
    with torch.inference_mode():
        head.detect(backbone.maps(pixels), pixels)
    torch.stack(list(head.train().losses(backbone.maps(pixels), pixels, SOME[:1]).values())).sum().backward()


@every_kind
def test_each_parameter_lies_in_one_stage_and_a_frozen_trunk_keeps_its_statistics(kind: str, saved: Path) -> None:
    backbone, pixels = loaded(f"transformers/{kind}@{saved / kind}"), images()
    ids = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(ids) == sorted(id(parameter) for parameter in backbone.parameters())
    assert len(backbone.stages()) >= 5
    norms = [layer for layer in backbone.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert norms
    before = norms[0].running_mean.clone()  # type: ignore[union-attr]
    backbone.freeze("all").train().maps(pixels)
    assert torch.equal(norms[0].running_mean, before)  # type: ignore[arg-type]
    backbone.freeze(0).train().maps(pixels)
    assert not torch.equal(norms[0].running_mean, before)  # type: ignore[arg-type]


@every_kind
def test_constants_of_the_library_are_not_trained(kind: str, saved: Path) -> None:
    head = head_of(loaded(f"transformers/{kind}@{saved / kind}"))
    head.requires_grad_(True)
    assert not any(name.endswith(("up", "reg_scale", "points_scale")) for name, _ in head.named_parameters())


@every_kind
def test_class_rows_are_taken_over_by_name(kind: str, saved: Path) -> None:
    backbone = loaded(f"transformers/{kind}@{saved / kind}")
    old, new = head_of(backbone), DETECTORS.parse({"detector": "transformers"}).build(backbone, 4)
    fresh = copy.deepcopy(new.model.state_dict())
    with torch.no_grad():
        new.take_over(old, [(3, 1), (0, 2)])
    mine, theirs = new.model.state_dict(), old.model.state_dict()
    told = [name for name in mine if mine[name].shape != theirs[name].shape]
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in told} >= {"enc_score_head", "denoising_class_embed"}
    assert sum("class_embed" in name and "denoising" not in name for name in told) >= 4
    for name in told:
        assert torch.equal(mine[name][[3, 0]], theirs[name][[1, 2]])
        assert torch.equal(mine[name][1:3], fresh[name][1:3])
    assert torch.equal(mine[DENOISING][-1], theirs[DENOISING][-1])
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if name not in told)


def test_the_record_tells_architecture_and_classes_and_lasts_without_the_folder(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "d_fine", tmp_path / "own")
    (tmp_path / "own" / "preprocessor_config.json").write_text(json.dumps({
        "do_resize": True, "size": {"height": 480, "width": 480}, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}))
    backbone = loaded(f"transformers/d_fine@{tmp_path / 'own'}")
    assert backbone.brought is not None
    assert backbone.brought.classes == ("cat", "person", "cup")
    assert backbone.spec.license == "user-supplied"
    assert (backbone.spec.preprocessing.size, backbone.spec.preprocessing.mean) == (480, (0.5, 0.5, 0.5))
    shutil.rmtree(tmp_path / "own")
    other = resolve.rebuild(type(backbone.spec).model_validate_json(backbone.spec.model_dump_json()))
    other.load_state_dict(backbone.state_dict())
    assert other.weights_hash() == backbone.weights_hash()


def test_without_a_word_of_it_pictures_are_only_brought_to_0_to_1(saved: Path) -> None:
    settings = loaded(f"transformers/rt_detr@{saved / 'rt_detr'}").spec.preprocessing
    assert settings == Preprocessing(size=640, fit="pad", interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1))
    assert float(settings.normalise(torch.tensor([[[255]], [[0]], [[51]]], dtype=torch.uint8)).sum()) \
        == pytest.approx(1.2)


def test_a_pickled_file_is_read_with_the_config_beside_it(saved: Path, tmp_path: Path) -> None:
    torch.save(tiny("rt_detr_v2").state_dict(), tmp_path / "w.bin")
    with pytest.raises(ConfigError, match=r"w\.bin for transformers/rt_detr_v2: no config\.json lies beside it"):
        loaded(f"transformers/rt_detr_v2@{tmp_path / 'w.bin'}")
    shutil.copy(saved / "rt_detr_v2" / "config.json", tmp_path)
    found = loaded(f"transformers/rt_detr_v2@{tmp_path / 'w.bin'}")
    assert found.weights_hash() == loaded(f"transformers/rt_detr_v2@{saved / 'rt_detr_v2'}").weights_hash()


def test_another_number_of_channels_is_adapted(saved: Path) -> None:
    colours, (grey, _) = loaded(f"transformers/rt_detr@{saved / 'rt_detr'}"), resolve.load(
        f"transformers/rt_detr@{saved / 'rt_detr'}", channels=1)
    one = images(1)[:, :1]
    with torch.no_grad():
        torch.testing.assert_close(grey.maps(one)[8], colours.maps(one.expand(-1, 3, -1, -1))[8], rtol=1e-3, atol=1e-4)


def test_scratch_starts_with_the_same_architecture(saved: Path) -> None:
    backbone = loaded(f"transformers/rt_detr@{saved / 'rt_detr'}")
    task = Detection(detector=DETECTORS.parse({"detector": "transformers"}))
    model = Model.fresh(backbone, task, ("cat", "dog"), preprocessing=backbone.spec.preprocessing)
    other = resolve.rebuild(model.backbone.spec)
    assert isinstance(task.head(other, 2), DetectionHead)
    assert other.weights_hash() != backbone.weights_hash()
    assert "detection" in Scratch.tasks


@pytest.mark.parametrize(("name", "error", "message"), [
    ("transformers/d_fine@{}/rt_detr", ConfigError, r"this is a rt_detr, and transformers/d_fine a d_fine\. Write"),
    ("transformers/rt_detr@{}/none", ConfigError, r"none: there is no such file of weights"),
    ("transformers/rt_detr@{}", ConfigError, r"there is no model\.safetensors or pytorch_model\.bin in this folder"),
    ("transformers/rt_detr@{}/detr", ConfigError, r"its model_type is detr; what can be read are rt_detr, rt_detr_v2"),
    ("transformers/rt_detr@{}/torn", IntegrityError, r"config\.json: not JSON"),
    ("transformers/rt_detr@{}/odd", ConfigError, r"transformers can't build a rt_detr from its config\.json"),
    ("transformers/rt_detr@{}/mixed", ConfigError, r"mixed for transformers/rt_detr: the tensors do not fit"),
    ("transformers/rt_detr@{}/bare", ConfigError, r"bare for transformers/rt_detr: no config\.json lies beside it"),
    ("transformers/rt_detr@{}/rt_detr?partial", ConfigError, "a detector is loaded whole"),
    ("transformers/rt_detr", ConfigError, "an architecture without weights; bring the folder"),
    ("transformers/PekingU/rtdetr_r18", ConfigError, "--allow-licenses unknown"),
    ("transformers/a/b/c", ConfigError, 'unknown backbone "transformers/a/b/c"'),
])
def test_mistakes_are_told(saved: Path, name: str, error: type[HeadstartError], message: str) -> None:
    for other, config in (("detr", '{"model_type": "detr"}'), ("torn", "{"),
                          ("odd", '{"model_type": "rt_detr", "d_model": "wide"}'),
                          ("mixed", (saved / "rt_detr" / "config.json").read_text().replace(
                              '"num_queries"', '"decoder_layers": 3, "num_queries"'))):
        (saved / other).mkdir(exist_ok=True)
        (saved / other / "config.json").write_text(config)
        shutil.copy(saved / "rt_detr" / "model.safetensors", saved / other)
    (saved / "bare").mkdir(exist_ok=True)
    shutil.copy(saved / "rt_detr" / "model.safetensors", saved / "bare")
    with pytest.raises(error, match=message) as told:
        resolve.load(name.format(saved))
    assert len(str(told.value)) < 3000


def test_a_setting_that_would_have_no_effect_is_refused(saved: Path) -> None:
    with pytest.raises(ConfigError, match="detector transformers: overlap would have no effect"):
        head_of(loaded(f"transformers/rt_detr@{saved / 'rt_detr'}"), overlap=0.5)


def test_its_heads_are_refused_on_any_other_backbone() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0 brings no heads of transformers'"):
        DETECTORS.get("transformers")().build(resolve.load("efficientnet_lite0", pretrained=False)[0], 2)


def test_weights_that_are_not_finite_give_such_a_loss(saved: Path) -> None:
    backbone, pixels = loaded(f"transformers/rt_detr@{saved / 'rt_detr'}"), images()
    head = head_of(backbone).train()
    with torch.no_grad():
        next(head.model.model.decoder.bbox_embed.parameters()).fill_(float("nan"))  # type: ignore[union-attr]
    assert not torch.isfinite(torch.stack(list(head.losses(backbone.maps(pixels), pixels, SOME).values())).sum())


def test_without_a_network_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ResourceError, match="PekingU/rtdetr_r18vd are not here, and HF_HUB_OFFLINE forbids"):
        resolve.load("transformers/PekingU/rtdetr_r18vd")


def test_a_repository_of_the_hub_is_read_from_its_cache(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    monkeypatch.setattr("headstart.backbones.hub.cached", lambda repository, names=("model.safetensors",): next(
        (saved / "rt_detr" / name for name in names if repository == "me/mine"), None))
    backbone, _ = resolve.load("transformers/me/mine", allow_licenses=("unknown",))
    assert isinstance(backbone, TransformersDetectorBackbone)
    assert backbone.brought is not None
    assert backbone.brought.classes == ("cat", "person", "cup")
    assert resolve.rebuild(backbone.spec).weights_hash() != backbone.weights_hash()


def test_the_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ResourceError, match=r"pip install 'headstart\[transformers\]'"):
        resolve.load(f"transformers/rt_detr@{saved / 'rt_detr'}")
    with pytest.raises(ResourceError, match=r"pip install 'headstart\[transformers\]'"):
        DETECTORS.get("rt_detr")().build(resolve.load("timm/test_resnet", pretrained=False)[0], 2)


def test_the_curated_architectures_are_those_of_their_records() -> None:
    backbone, _ = resolve.load("transformers/PekingU/rtdetr_r18vd", pretrained=False)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == backbone.spec.parameters
