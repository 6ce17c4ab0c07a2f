"""Published detectors: torchvision's own weights, from a file, give what torchvision gives."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import get_model
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops.misc import FrozenBatchNorm2d

from headstart.backbones import resolve
from headstart.backbones.torchvision_detectors_backbone import TorchvisionDetectorBackbone
from headstart.detectors.detector import DETECTORS
from headstart.detectors.head import DetectionHead, Target, Untouched
from headstart.errors import ConfigError, ResourceError

SMALL = ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn",
         "maskrcnn_resnet50_fpn_v2"]
SOME = [{"boxes": torch.tensor([[4.0, 4, 80, 84], [50, 10, 90, 60]]), "labels": torch.tensor([3, 5]),
         "masks": torch.ones(2, 128, 160, dtype=torch.uint8).tril()}]


def library(name: str, labels: int = 91, **settings: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=labels, **settings)
    return model.eval()


def from_file(model: torch.nn.Module, name: str, folder: Path) -> TorchvisionDetectorBackbone:
    torch.save(model.state_dict(), folder / "w.pth")
    backbone, _ = resolve.load(f"torchvision/{name}@{folder / 'w.pth'}")
    assert isinstance(backbone, TorchvisionDetectorBackbone)
    return backbone


def head_of(backbone: TorchvisionDetectorBackbone) -> DetectionHead:
    assert backbone.brought is not None
    part = DETECTORS.parse({"detector": "torchvision", "confidence": 0.001, "overlap": 0.5})
    head = part.build(backbone, len(backbone.brought.classes))
    head.model.load_state_dict(backbone.brought.tensors)
    return head.eval()


def strictly(model: torch.nn.Module, name: str) -> torch.nn.Module:
    """Return the library's model, set to what `head_of` asks for, on tensors as they are."""
    (model.roi_heads if "rcnn" in name else model).score_thresh = 0.001
    (model.roi_heads if "rcnn" in name else model).nms_thresh = 0.5
    if "rcnn" not in name:
        model.detections_per_img = 100
    model.transform = Untouched()
    return model


@pytest.mark.parametrize("name", SMALL)
def test_boxes_and_losses_are_those_of_the_library(name: str, tmp_path: Path) -> None:
    theirs = library(name)
    backbone = from_file(theirs, name, tmp_path)
    head, pixels = head_of(backbone), torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    theirs = strictly(theirs, name)
    if name == "retinanet_resnet50_fpn":
        with torch.no_grad():
            theirs.backbone.load_state_dict(without_epsilon(name, tmp_path))
    with torch.no_grad():
        maps = backbone.maps(pixels)
        found, expected = head.detect(maps, pixels)[0], theirs(pixels)[0]
    assert len(found["boxes"])
    for key in ("boxes", "scores"):
        assert torch.equal(found[key], expected[key])
    assert head.tells_masks == name.startswith("mask")
    if head.tells_masks:
        assert torch.equal(found["masks"], expected["masks"][:, 0])
    assert torch.equal(found["labels"] + head.first_label, expected["labels"])
    torch.manual_seed(3)
    ours = head.losses(maps, pixels, [{**one, "labels": one["labels"] - head.first_label} for one in SOME])
    assert losses_of(theirs, pixels, SOME) == pytest.approx({key: float(value) for key, value in ours.items()})


def losses_of(theirs: torch.nn.Module, pixels: torch.Tensor, targets: list[Target]) -> dict[str, float]:
    theirs.train()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    torch.manual_seed(3)
    return {key: float(value.detach()) for key, value in theirs(pixels, targets).items()}


def without_epsilon(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """Return the trunk's tensors as ours has them."""
    backbone, _ = resolve.load(f"torchvision/{name}@{folder / 'w.pth'}")
    return backbone.model.state_dict()


def test_the_epsilon_of_zero_of_published_weights_is_kept(tmp_path: Path) -> None:
    name = "retinanet_resnet50_fpn"
    theirs = library(name)
    # About as small as the epsilon of a BatchNorm, where leaving it out is seen.
    theirs.backbone.body.bn1.running_var.fill_(2e-5)
    ours = from_file(theirs, name, tmp_path)
    frozen = library(name)
    for key, layer in list(frozen.named_modules()):
        if isinstance(layer, torch.nn.BatchNorm2d):
            frozen.set_submodule(key, FrozenBatchNorm2d(layer.num_features))
    frozen.load_state_dict(theirs.state_dict())
    overwrite_eps(frozen, 0.0)  # as torchvision's builder does with its COCO_V1
    pixels = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        expected, found = list(frozen.backbone(pixels).values()), list(ours.maps(pixels).values())
        plain = list(theirs.backbone(pixels).values())
    for a, b, c in zip(found, expected, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))
        assert float((b - c).abs().max()) > 0.01 * float(b.abs().max())


@pytest.mark.parametrize("name", SMALL)
def test_classes_of_coco_are_known_by_name(name: str, tmp_path: Path) -> None:
    backbone = from_file(library(name), name, tmp_path)
    assert backbone.brought is not None
    classes = backbone.brought.classes
    assert classes.index("person") + backbone.first_label == 1
    assert classes.index("toothbrush") + backbone.first_label == 90
    assert len(set(classes)) == len(classes) == 91 - backbone.first_label


@pytest.mark.parametrize("name", SMALL)
def test_a_file_of_other_classes_gives_all_but_their_rows(name: str, tmp_path: Path) -> None:
    backbone = from_file(library(name, 4), name, tmp_path)
    assert backbone.brought is not None
    assert len(backbone.brought.classes) == 4 - backbone.first_label
    assert not {"person", "__background__"} & set(backbone.brought.classes)
    assert len(head_of(backbone).detect(backbone.maps(torch.zeros(1, 3, 64, 64)), torch.zeros(1, 3, 64, 64))) == 1


@pytest.mark.parametrize("name", SMALL)
def test_each_parameter_lies_in_one_stage_and_the_pyramid_is_the_last(name: str) -> None:
    backbone = resolve.load(f"torchvision/{name}", pretrained=False)[0]
    stages = backbone.stages()
    ids = [id(parameter) for stage in stages for parameter in stage.parameters()]
    assert sorted(ids) == sorted(id(parameter) for parameter in backbone.parameters())
    assert 5 < len(stages) < 30
    # A frozen trunk keeps its statistics.
    backbone.freeze(len(stages) - 1).train()
    assert not any(layer.training for stage in stages[:-1] for layer in stage.modules()
                   if isinstance(layer, torch.nn.BatchNorm2d))


def test_another_number_of_channels_is_adapted(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    torch.save(library(name).state_dict(), tmp_path / "w.pth")
    grey, _ = resolve.load(f"torchvision/{name}@{tmp_path / 'w.pth'}", channels=1)
    assert grey.maps(torch.zeros(1, 1, 64, 64))[16].shape[1] == 672


def test_a_file_of_another_detector_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(library("ssdlite320_mobilenet_v3_large").state_dict(), tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"w\.pth for torchvision/fcos_resnet50_fpn: the tensors do not fit") as told:
        resolve.load(f"torchvision/fcos_resnet50_fpn@{tmp_path / 'w.pth'}")
    assert len(str(told.value)) < 3000
    with pytest.raises(ConfigError, match="loaded whole"):
        resolve.load(f"torchvision/fcos_resnet50_fpn@{tmp_path / 'w.pth'}?partial")


def test_heads_of_torchvision_are_refused_on_any_other_backbone() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0 brings no heads of torchvision's"):
        DETECTORS.get("torchvision")().build(resolve.load("efficientnet_lite0", pretrained=False)[0], 2)


def test_without_a_network_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE forbids to download them"):
        resolve.load("torchvision/fcos_resnet50_fpn")
