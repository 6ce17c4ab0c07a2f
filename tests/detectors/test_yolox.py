"""YOLOX: files of the release load, and its numbers are those of another implementation and of slow loops."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import get_model_weights
from torchvision.ops import box_iou

from headstart.backbones import resolve
from headstart.backbones.coco import CLASSES
from headstart.backbones.yolox_backbone import YoloxBackbone
from headstart.backbones.yolox_network import DecoupledHead, Reading, Scaling, Trunk
from headstart.detectors import simota
from headstart.detectors.detector import DETECTORS
from headstart.detectors.fcos import Fcos
from headstart.detectors.head import DetectionHead, Target
from headstart.detectors.yolox import Yolox, YoloxHead
from headstart.errors import ConfigError, ResourceError
from tests.detectors.formula import fill, pictures, spread, targets

NUMBERS = json.loads(Path(__file__).with_name("yolox_numbers.json").read_text())
NANO = Scaling(0.33, 0.25, separable=True)
SIZES = {"nano": (0.91, 1.08), "tiny": (5.06, 6.45), "s": (9.0, 26.8), "m": (25.3, 73.8), "l": (54.2, 155.6),
         "x": (99.1, 281.9)}
"""Millions of parameters and billions of operations, two for a multiply-add, by the authors' README."""


def official(classes: int = 80, scaling: Scaling = NANO) -> dict[str, torch.Tensor]:
    """Return tensors by the names of the release, filled by the formula."""
    with torch.random.fork_rng():
        trunk, rest = Trunk(scaling, 3), Reading(scaling.channels, scaling, classes)
    tensors = {f"backbone.backbone.{key}": value for key, value in trunk.state_dict().items()} | rest.state_dict()
    fill(tensors)
    return tensors


def from_file(folder: Path, tensors: dict[str, torch.Tensor], name: str = "yolox_nano", **kind: int) -> YoloxBackbone:
    torch.save({"model": tensors, "start_epoch": 300}, folder / "w.pth")
    backbone, _ = resolve.load(f"{name}@{folder / 'w.pth'}", **kind)  # type: ignore[arg-type]
    assert isinstance(backbone, YoloxBackbone)
    return backbone


def head_of(backbone: YoloxBackbone, **settings: Any) -> DetectionHead:
    assert backbone.brought is not None
    assert backbone.spec.detector == "yolox"
    head = DETECTORS.parse({"detector": "yolox", **settings}).build(backbone, len(backbone.brought.classes))
    head.model.load_state_dict(backbone.brought.tensors)
    return head.eval()


def test_losses_and_gradients_are_those_of_another_implementation(tmp_path: Path) -> None:
    backbone = from_file(tmp_path, official())
    head = head_of(backbone)
    found = head.losses(backbone.maps(pictures()), pictures(), targets())
    assert {key: float(value.detach()) for key, value in found.items()} == pytest.approx(NUMBERS["losses"], rel=1e-4)
    torch.stack(list(found.values())).sum().backward()
    own = dict(head.model.named_parameters()) | {
        f"backbone.backbone.{key}": value for key, value in backbone.model.named_parameters()}
    norms = {name: float(own[name].grad.norm()) for name in NUMBERS["gradients"]}  # type: ignore[union-attr]
    assert norms == pytest.approx(NUMBERS["gradients"], rel=1e-3)


def test_boxes_are_those_of_another_implementation(tmp_path: Path) -> None:
    backbone = from_file(tmp_path, official())
    head = head_of(backbone, confidence=NUMBERS["confidence"], overlap=NUMBERS["overlap"], most=1000)
    with torch.no_grad():
        answers = head.detect(backbone.maps(pictures()), pictures())
    for found, expected in zip(answers, NUMBERS["found"], strict=True):
        shown = len(expected["scores"])
        assert len(found["scores"]) == expected["count"]
        np.testing.assert_allclose(found["scores"][:shown], expected["scores"], atol=1e-5)
        assert found["labels"][:shown].tolist() == expected["labels"]
        boxes = np.array(expected["boxes"]).clip(0, [128, 96, 128, 96])
        np.testing.assert_allclose(found["boxes"][:shown], boxes, atol=1e-3)


@pytest.mark.parametrize("name", SIZES)
def test_each_size_is_as_large_as_its_authors_say(name: str) -> None:
    spec = resolve.find(f"yolox_{name}")
    with torch.device("meta"):
        backbone = resolve.named_source("yolox").build(f"yolox_{name}", pretrained=False)
        assert isinstance(backbone, YoloxBackbone)
        rest = Reading(backbone.scaling.channels, backbone.scaling, 80)
    parameters, operations = SIZES[name]
    own = sum(parameter.numel() for parameter in backbone.parameters())
    assert own == spec.parameters
    whole = own + sum(parameter.numel() for parameter in rest.parameters())
    assert whole / 1e6 == pytest.approx(parameters, rel=0.01)
    assert spec.gmacs == pytest.approx(operations / 2, rel=0.04)


def test_the_classes_of_coco_are_those_of_torchvision() -> None:
    known = get_model_weights("retinanet_resnet50_fpn").DEFAULT.meta["categories"]
    assert list(CLASSES) == [name for name in known if name not in ("N/A", "__background__")]


def test_classes_of_a_file_have_names(tmp_path: Path) -> None:
    for classes, first in ((80, "person"), (3, "label 0 of the file")):
        brought = from_file(tmp_path, official(classes)).brought
        assert brought is not None
        assert brought.classes[0] == first
        assert len(set(brought.classes)) == classes


def test_a_file_without_counts_of_batches_loads(tmp_path: Path) -> None:
    tensors = {key: value for key, value in official().items() if not key.endswith("num_batches_tracked")}
    head_of(from_file(tmp_path, tensors))


def test_a_file_of_another_size_or_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"w\.pth for yolox_tiny: the tensors do not fit(.|\n)*Name the YOLOX"):
        from_file(tmp_path, official(), "yolox_tiny")
    with pytest.raises(ConfigError, match="in the model but not in the file"):
        from_file(tmp_path, {key: value for key, value in official().items() if not key.startswith("head.obj")})
    with pytest.raises(ConfigError, match=r"so that it is no YOLOX\. Name the detector"):
        from_file(tmp_path, {"conv.weight": torch.zeros(1)})


def test_without_a_file_the_message_says_where_it_goes() -> None:
    with pytest.raises(ResourceError, match=r"as yolox_s@yolox_s\.pth"):
        resolve.load("yolox_s")
    assert resolve.load("yolox_nano", pretrained=False)[0].spec.family == "YOLOX"
    with pytest.raises(ConfigError, match="yolox_nano"):
        resolve.named_source("yolox").build("yolox_nan")


def test_grey_pictures_give_what_three_equal_channels_give(tmp_path: Path) -> None:
    colour, grey = (from_file(tmp_path, official(), channels=channels) for channels in (3, 1))
    pixels = pictures()[:, :1]
    with torch.no_grad():
        torch.testing.assert_close(grey.maps(pixels)[32], colour.maps(pixels.expand(-1, 3, -1, -1))[32],
                                   rtol=1e-3, atol=1e-3)


def test_odd_sides_are_taken() -> None:
    backbone = resolve.load("yolox_nano", pretrained=False)[0]
    assert backbone.pooled(torch.zeros(1, 3, 65, 71)).shape == (1, 256)


def test_settings_of_the_trunk_cannot_be_others_in_the_head() -> None:
    backbone = resolve.load("yolox_nano", pretrained=False)[0]
    with pytest.raises(ConfigError, match=r"width, separable: on the trunk of yolox_nano(.|\n)*Leave it out"):
        Yolox(width=0.5, separable=False).build(backbone, 2)
    head = Yolox().build(backbone, 2)
    assert isinstance(head, YoloxHead)
    assert head.model.head.stems[0].conv.out_channels == 64  # type: ignore[union-attr]
    assert all(isinstance(layer, nn.Identity) for layer in head.model.entry)


def test_another_backbone_is_read_with_the_width_that_is_set() -> None:
    backbone = resolve.load("efficientnet_lite0", pretrained=False)[0]
    assert {Yolox(width=width).build(backbone, 2).model.head.cls_preds[0].in_channels  # type: ignore[union-attr,index]
            for width in (0.125, 0.5)} == {32, 128}
    assert Yolox().build(backbone, 2).finest == 8


def test_another_head_reads_the_trunk() -> None:
    backbone = resolve.load("yolox_nano", pretrained=False)[0]
    pixels = torch.zeros(1, 3, 64, 64)
    assert len(Fcos().build(backbone, 2).eval().detect(backbone.maps(pixels), pixels)) == 1


def scene(boxes: list[list[float]], labels: list[int]) -> tuple[torch.Tensor, torch.Tensor, Target]:
    """Return answers float32 [A, 5 + 4], cells [A, 3] of 64 x 96 pixels, and objects."""
    cells = torch.cat([torch.tensor([[x, y, stride] for y in range(0, 64, stride) for x in range(0, 96, stride)])
                       for stride in (8, 16, 32)]).float()
    answers = spread(len(cells) * 9, 7).view(-1, 9) * 2
    answers[:, 2:4] += 1
    return answers, cells, {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                            "labels": torch.tensor(labels, dtype=torch.int64)}


def slowly(answers: torch.Tensor, cells: torch.Tensor, target: Target) -> dict[int, int]:
    """Return cell -> object, by loops over the paper's words."""
    boxes, probabilities = simota.boxes_of(answers, cells), answers.sigmoid()
    near = {(g, a) for g, box in enumerate(target["boxes"]) for a, (left, top, stride) in enumerate(cells.tolist())
            if abs(left + stride / 2 - float(box[0] + box[2]) / 2) < 1.5 * stride
            and abs(top + stride / 2 - float(box[1] + box[3]) / 2) < 1.5 * stride}
    candidates = sorted({a for _, a in near})
    cost: dict[tuple[int, int], float] = {}
    wished: dict[int, list[int]] = {a: [] for a in candidates}
    for g, box in enumerate(target["boxes"]):
        overlaps = {a: float(box_iou(box[None], boxes[a][None])) for a in candidates}
        for a in candidates:
            score = [math.sqrt(float(probabilities[a, 4] * probabilities[a, 5 + c])) for c in range(4)]
            entropy = -sum(math.log(s if c == int(target["labels"][g]) else 1 - s) for c, s in enumerate(score))
            cost[g, a] = entropy - 3 * math.log(overlaps[a] + 1e-8) + (0 if (g, a) in near else 1e6)
        count = max(1, int(sum(sorted(overlaps.values())[-10:])))
        for a in sorted(candidates, key=lambda a: cost[g, a])[:count]:
            wished[a].append(g)
    return {a: min(range(len(target["boxes"])), key=lambda g: cost[g, a]) if len(who) > 1 else who[0]
            for a, who in wished.items() if who}


@pytest.mark.parametrize(("boxes", "labels"), [
    ([[10, 10, 40, 40]], [2]), ([[10, 10, 40, 40], [14, 12, 44, 40], [60, 20, 90, 60], [58, 22, 94, 62]], [0, 1, 3, 3]),
    ([[0, 0, 96, 64], [40, 28, 56, 36], [1, 1, 5, 5]], [1, 1, 0]), ([[30, 30, 30, 30], [20, 20, 50, 50]], [0, 0]),
    ([[500, 500, 600, 600], [20, 20, 50, 50]], [0, 1])], ids=["one", "crowd", "nested", "no-area", "outside"])
def test_cells_are_given_to_objects_as_slow_loops_do(boxes: list[list[float]], labels: list[int]) -> None:
    answers, cells, target = scene(boxes, labels)
    found = simota.assign(simota.boxes_of(answers, cells), answers, cells, target)
    assert dict(zip(found.cells.tolist(), found.objects.tolist(), strict=True)) == slowly(answers, cells, target)
    own = box_iou(target["boxes"], simota.boxes_of(answers, cells)[found.cells])
    torch.testing.assert_close(found.overlaps, own[found.objects, torch.arange(len(found.cells))])


@pytest.mark.parametrize("boxes", [[], [[500.0, 500, 600, 600]], [[-90.0, -90, -50, -50]]],
                         ids=["none", "far", "before"])
def test_without_cells_that_answer_only_objects_count(boxes: list[list[float]]) -> None:
    answers, cells, target = scene(boxes, [0] * len(boxes))
    found = simota.losses(answers[None], cells, [target])
    assert float(found["boxes"]) == float(found["classes"]) == 0
    expected = functional.binary_cross_entropy_with_logits(answers[:, 4], torch.zeros(len(cells)), reduction="sum")
    torch.testing.assert_close(found["objects"], expected)


def test_the_loss_of_the_class_is_what_the_cost_says_for_many_classes() -> None:
    answers = spread(6 * 305, 3).view(6, 305) * 4
    labels = torch.tensor([0, 299, 7])
    score = (answers[:, 5:].sigmoid() * answers[:, 4:5].sigmoid()).sqrt()
    expected = functional.binary_cross_entropy(score[None].expand(3, -1, -1), functional.one_hot(labels, 300)[
        :, None].expand(-1, 6, -1).float(), reduction="none").sum(-1)
    torch.testing.assert_close(simota._class_cost(answers, labels), expected)


def test_gradient_reaches_every_parameter(tmp_path: Path) -> None:
    backbone = from_file(tmp_path, official())
    head = head_of(backbone)
    many = [{"boxes": torch.tensor([[0.0, 0, 80, 80], [10, 10, 30, 30], [60, 40, 100, 80]]),
             "labels": torch.tensor([1, 2, 3])}] * 2
    parts = head.model.head
    assert isinstance(parts, DecoupledHead)
    with torch.no_grad():  # each level answers with boxes of 2.5 strides, such as one of the objects is, unsure of all
        for name, parameter in parts.named_parameters():
            if "preds" in name:
                parameter *= 0.05 if name.endswith("weight") else 0
        for layer in parts.reg_preds:
            layer.bias.copy_(torch.tensor([0.5, 0.5, 0.9, 0.9]))  # type: ignore[operator]
    torch.stack(list(head.losses(backbone.maps(pictures()), pictures(), many).values())).sum().backward()
    silent = [name for part in (backbone, head) for name, parameter in part.named_parameters()
              if parameter.grad is None or not parameter.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("boxes", [True, False])
def test_losses_are_finite_on_maps_of_half_precision(tmp_path: Path, boxes: bool) -> None:
    backbone = from_file(tmp_path, official())
    head = head_of(backbone)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = backbone.maps(pictures())
        wanted = targets() if boxes else [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}] * 2
        under = torch.stack(list(head.losses(maps, pictures(), wanted).values()))
    after = torch.stack(list(head.losses(maps, pictures(), wanted).values()))
    assert maps[8].dtype == torch.bfloat16
    for found in (under, after):
        assert found.dtype == torch.float32
        assert torch.isfinite(found).all()
    exact = torch.stack(list(head.losses(backbone.maps(pictures()), pictures(), wanted).values()))
    assert float(after.sum().detach()) == pytest.approx(float(exact.sum().detach()), rel=0.05)


class Whole(nn.Module):
    """Backbone and head as an exporter will have them: images in, decoded boxes and scores out."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        answers, cells = self.head(self.backbone.maps(images))  # type: ignore[operator]
        return simota.boxes_of(answers, cells), answers[..., 5:].sigmoid() * answers[..., 4:5].sigmoid()


@pytest.mark.filterwarnings("ignore")
def test_backbone_and_head_export_to_onnx_for_any_canvas(tmp_path: Path) -> None:
    backbone = from_file(tmp_path, official())
    whole, file = Whole(backbone, head_of(backbone)).eval(), io.BytesIO()
    torch.onnx.export(whole, (pictures(),), file, dynamo=False, input_names=["images"],
                      output_names=["boxes", "scores"],
                      dynamic_axes={"images": {0: "batch", 2: "height", 3: "width"}})
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for images in (pictures(), pictures()[:1, :, :64, :96].contiguous()):
        with torch.no_grad():
            expected = whole(images)
        for found, wanted in zip(session.run(None, {"images": images.numpy()}), expected, strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
