"""What every detector promises, on small backbones with fresh weights."""

import copy
import re
from functools import cache

import pytest
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.timm import Timm
from headstart.detectors.detector import DETECTORS
from headstart.detectors.head import DetectionHead, Target, TorchvisionHead
from headstart.detectors.mask_queries import MaskQueryHead
from headstart.errors import ConfigError
from headstart.tasks.detection import Detection
from tests.detectors import ON_ANY_BACKBONE

NAMES = ON_ANY_BACKBONE
SMALL = {"rt_detr": {"width": 32, "queries": 30, "layers": 2, "denoising": 10},
         "mask2former": {"width": 32, "queries": 10, "layers": 2, "encoder_layers": 1, "points": 256}}
"""Settings that make a head quick, where its own are not."""
SIDES = (64, 96)
"""Height and width of the canvas."""
every_detector = pytest.mark.parametrize("name", NAMES)


@cache
def backbone(name: str = "timm/test_resnet") -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Timm().build(name, pretrained=False).eval()


def head(name: str, *, classes: int = 2, seed: int = 0, on: str = "timm/test_resnet") -> DetectionHead:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Detection(detector=DETECTORS.get(name)(**SMALL.get(name, {}))).head(backbone(on), classes)
    assert isinstance(made, DetectionHead)
    return made


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, *SIDES, generator=torch.Generator().manual_seed(1))


def target(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] = ()) -> Target:
    """Return a target whose masks fill their boxes, for the detectors that learn masks."""
    masks = torch.zeros(len(boxes), *SIDES, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top):int(bottom), int(left):int(right)] = 1
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64), "masks": masks}


SOME = [target((4, 4, 40, 44), (50, 10, 90, 60), labels=(0, 1)), target((10, 10, 40, 40), labels=(1,))]
NONE = [target(), target()]
MIXED = [SOME[0], target()]


def losses(made: DetectionHead, targets: list[Target]) -> torch.Tensor:
    torch.manual_seed(0)
    pixels = images()
    with torch.no_grad():
        maps = backbone().maps(pixels)
    return torch.stack(list(made.losses(maps, pixels, targets).values()))


@every_detector
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("targets", [SOME, MIXED, NONE], ids=["all", "one", "none"])
def test_losses_are_finite_with_and_without_boxes(name: str, training: bool, targets: list[Target]) -> None:
    found = losses(head(name).train(training), targets)
    assert torch.isfinite(found).all()
    assert (found >= 0).all()
    # SSD takes its negatives by the number of its positives: without objects there is nothing to learn.
    assert found.sum() > 0 or (name == "ssdlite" and targets is NONE)
    assert found.requires_grad


@every_detector
def test_targets_are_left_as_they_are(name: str) -> None:
    given = copy.deepcopy(SOME)
    losses(head(name), given)
    for one, before in zip(given, SOME, strict=True):
        assert all(torch.equal(one[key], before[key]) for key in before)


def entries(made: DetectionHead) -> nn.Module:
    """Return what reads the backbone's maps first."""
    if isinstance(made, TorchvisionHead):
        return made.reader.fpn.inner_blocks  # type: ignore[return-value, union-attr]
    names = ("entry", "model.encoder_input_proj", "model.pixel_level_module.decoder.input_projections")
    modules = dict(made.model.named_modules())
    return next(modules[name] for name in names if name in modules)


@every_detector
def test_gradient_reaches_pyramid_and_backbone(name: str) -> None:
    made, own, pixels = head(name).train(), copy.deepcopy(backbone()), images()
    torch.stack(list(made.losses(own.maps(pixels), pixels, SOME).values())).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in entries(made).parameters())
    assert all(any(p.grad is not None and p.grad.abs().sum() > 0 for p in stage.parameters())
               for stage in own.stages()[:-1])


@every_detector
@pytest.mark.parametrize("training", [True, False])
def test_boxes_lie_on_the_canvas_the_surest_first(name: str, training: bool) -> None:
    made, pixels = head(name, classes=3).train(training), images()
    with torch.no_grad():
        found = made.detect(backbone().maps(pixels), pixels)
    assert len(found) == 2
    # Some heads begin unsure of everything.
    assert sum(len(one["boxes"]) for one in found) > 0 or name in ("fcos", "retinanet", "yolox")
    for one in found:
        boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
        assert boxes.shape == (len(scores), 4)
        assert len(labels) == len(scores) <= 100
        assert (boxes >= 0).all()
        assert (boxes[:, 0::2] <= SIDES[1]).all()
        assert (boxes[:, 1::2] <= SIDES[0]).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        assert (scores[:-1] >= scores[1:]).all()
        assert (scores >= 0).all()
        assert (scores <= 1).all()
        assert ((labels >= 0) & (labels < 3)).all()


@every_detector
def test_asking_changes_no_mode(name: str) -> None:
    made = head(name).train()
    losses(made, SOME)
    assert all(module.training for module in made.modules())
    made.eval()
    losses(made, SOME)
    assert not any(module.training for module in made.modules())


@every_detector
def test_normalisation_keeps_its_statistics_while_validation_computes_losses(name: str) -> None:
    made = head(name).eval()
    before = copy.deepcopy(made.state_dict())
    losses(made, SOME)
    assert all(torch.equal(tensor, before[key]) for key, tensor in made.state_dict().items())


@every_detector
def test_weights_load_into_a_fresh_head(name: str) -> None:
    one, other, pixels = head(name).eval(), head(name, seed=5).eval(), images()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        maps = backbone().maps(pixels)
        found, again = one.detect(maps, pixels), other.detect(maps, pixels)
    for a, b in zip(found, again, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)


@every_detector
def test_reads_a_plain_transformer_with_one_map(name: str) -> None:
    vit = backbone("timm/test_vit")
    assert len(vit.maps(torch.zeros(1, 3, 160, 160))) == 1
    made = head(name, on="timm/test_vit").train()
    pixels = torch.randn(1, 3, 160, 160)
    assert torch.isfinite(torch.stack(list(made.losses(vit.maps(pixels), pixels, SOME[:1]).values()))).all()
    assert len(made.eval().detect(vit.maps(pixels), pixels)) == 1


@every_detector
def test_copies_do_not_share_what_they_are_fed(name: str) -> None:
    one = head(name)
    other = copy.deepcopy(one)
    losses(one, SOME)
    losses(other, SOME)
    assert one.model is not other.model
    assert not isinstance(one, TorchvisionHead) or one.reader is not other.reader  # type: ignore[attr-defined]
    assert not any(p is q for p, q in zip(one.parameters(), other.parameters(), strict=True))


def scores_of(made: DetectionHead) -> torch.Tensor:
    """Return [rows, classes with the background, ...] of all layers that score classes."""
    parts = [layer for name, layer in made.model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
             and not name.startswith(("rpn", "backbone")) and layer.weight.shape[0] % (made.classes + made.first_label)
             == 0 and re.search(r"cls|classification_head.module_list|class_embed|score_head", name)
             and _last(made.model, name)]
    if isinstance(made, MaskQueryHead):  # its last row is for no object
        return made.model.class_predictor.weight.detach()[None, :-1]  # type: ignore[union-attr, index, operator]
    assert parts
    count = made.classes + made.first_label
    return torch.cat([layer.weight.detach().reshape(-1, count, layer.weight[0].numel()) for layer in parts])


def _last(model: nn.Module, name: str) -> bool:
    """SSDlite's scores are told by the 1 x 1 layer of each pair, YOLOX's by the layer after the branch of classes."""
    return "cls_convs" not in name and ("module_list" not in name or name.endswith(".1"))


@every_detector
@pytest.mark.parametrize(("classes", "pairs"), [(3, [(2, 0)]), (2, [(0, 1), (1, 0)])], ids=["more", "swapped"])
def test_class_rows_are_taken_over_by_name(name: str, classes: int, pairs: list[tuple[int, int]]) -> None:
    old, new = head(name, classes=2, seed=1), head(name, classes=classes, seed=2)
    fresh, theirs = scores_of(new), scores_of(old)
    with torch.no_grad():
        new.take_over(old, pairs)
    mine, first = scores_of(new), new.first_label
    known = [row for row, _ in pairs]
    for row, before in pairs:
        assert torch.equal(mine[:, row + first], theirs[:, before + first])
    for row in set(range(classes)) - set(known):
        assert torch.equal(mine[:, row + first], fresh[:, row + first])
    if first:
        assert torch.equal(mine[:, 0], theirs[:, 0])


@every_detector
def test_all_that_tells_no_class_is_taken_over(name: str) -> None:
    old, new = head(name, classes=2, seed=1), head(name, classes=4, seed=2)
    with torch.no_grad():
        new.take_over(old, [(0, 0)])
    alike = {key for key, tensor in new.model.state_dict().items()
             if tensor.shape == old.model.state_dict()[key].shape}
    assert any(key.startswith(("backbone.", "model.encoder_input_proj", "model.pixel_level_module.decoder"))
               for key in alike)
    assert all(torch.equal(new.model.state_dict()[key], old.model.state_dict()[key]) for key in alike)


@every_detector
def test_a_detector_that_kept_its_classes_answers_as_before(name: str) -> None:
    old, new, pixels = head(name, seed=1).eval(), head(name, seed=2).eval(), images()
    with torch.no_grad():
        new.take_over(old, [(0, 0), (1, 1)])
        maps = backbone().maps(pixels)
        found, again = old.detect(maps, pixels), new.detect(maps, pixels)
    for a, b in zip(found, again, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_backbone_of_one_size_is_refused(monkeypatch):
    monkeypatch.setattr(backbone(), "fixed_size", True)
    with pytest.raises(ConfigError, match="takes squares of one size only"):
        Detection().head(backbone(), 2)
