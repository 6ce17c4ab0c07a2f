"""Training a detector beside a target: styles, a teacher of boxes, and that a break changes nothing."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.dataset import Splits
from headstart.data.fourier import in_style_of
from headstart.data.transforms import to_tensor
from headstart.errors import ConfigError
from headstart.events import silent
from headstart.methods.fda import Fda
from headstart.methods.mean_teacher import MeanTeacher
from headstart.training.averaging import Averaging
from headstart.training.box_lesson import BoxLesson
from headstart.training.box_teacher_lesson import BoxTeacherLesson, TaughtBoxBatch, sure
from headstart.training.fourier_lesson import FourierBoxLesson
from headstart.training.network import Network
from headstart.training.recompute import recomputed
from headstart.training.taught_lesson import ramp
from headstart.types import Sample
from tests.detectors import ON_ANY_BACKBONE
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows
from tests.training.test_box_lesson import boxed, model, splits
from tests.training.test_target_lessons import gradients, loaded, require_statistics_of

SMALL = {"epochs": 2, "batch_size": 4, "lr_head": 2e-3, "lr_backbone": 1e-3, "clip_norm": 5.0,
         "checkpoint_seconds": 0.001, "guard": "none"}
MASKS = ("mask_rcnn", "mask2former")


def parts(folder: Path) -> Splits:
    """Twelve images to learn from, four to judge by, and six darker ones without boxes."""
    found = splits(folder / "source")
    samples = []
    for sample in boxed(folder / "target", 22)[16:]:
        Image.fromarray((np.asarray(Image.open(sample.source)) * 0.6).astype(np.uint8)).save(sample.source)
        samples.append(Sample(sample.id, sample.source, None))
    return replace(found, target=replace(found.train, samples=tuple(samples)))


def fourier(folder: Path, **settings: object) -> FourierBoxLesson:
    return loaded(FourierBoxLesson(model(), parts(folder), Fda.parse({**SMALL, **settings}), context(folder, silent)))


def teacher(folder: Path, detector: str = "fcos", **settings: object) -> tuple[BoxTeacherLesson, Network]:
    plan = MeanTeacher.parse({**SMALL, "augment": "none", "average": "ema", "threshold": 0.0, **settings})
    lesson = loaded(BoxTeacherLesson(model(detector), parts(folder), plan, context(folder, silent)))
    network = Network(lesson.model.backbone, lesson.model.head, plan)
    lesson.begin(network, Averaging(network, plan.average).averaged, None)
    lesson.progress = 1.0
    return lesson, network


def says_a_box(images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    """What a teacher that is sure of one box would find in each image."""
    return [{"boxes": torch.tensor([[6.0, 5.0, 40.0, 30.0]]), "scores": torch.tensor([0.9]),
             "labels": torch.tensor([0])} for _ in images]


@pytest.mark.parametrize("method", [Fda, MeanTeacher])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(method, tmp_path):
    given = {**SMALL, "augment": "strong", **({"threshold": 0.05} if method is MeanTeacher else {})}
    apart, chosen, events, start = parts(tmp_path), method.parse(given), Events(), model()
    whole = chosen.fit(start, apart, context(tmp_path / "whole", events))
    assert in_child(lambda: chosen.fit(start, apart, context(tmp_path / "broken", kill_at_step(4)))) == -signal.SIGKILL
    again = Events()
    assert digest(chosen.fit(start, apart, context(tmp_path / "broken", again))) == digest(whole)
    assert rows(again) == rows(events)
    assert "resumed at step" in again.notes()
    assert {"val_ap", "val_reverse_validation"} <= set(rows(events)[0])


# Fourier

@pytest.mark.parametrize("detector", ["fcos", "mask_rcnn"])
def test_a_training_image_is_the_sources_in_the_style_of_one_of_the_target_with_its_boxes(detector, tmp_path):
    chosen = Fda.parse({**SMALL, "augment": "none", "beta": 0.1})
    lesson = loaded(FourierBoxLesson(model(detector), parts(tmp_path), chosen, context(tmp_path, silent)))
    examples = lesson.examples(0)
    for index in range(4):
        item = lesson.pictures.boxed(index)
        styles = [lesson.preprocessing.resize(lesson.target_pictures[place], item.picture.shape[:2])
                  for place in range(6)]
        found = examples[3, index]
        assert any(torch.equal(found.image, to_tensor(in_style_of(item.picture, style, beta=0.1)))
                   for style in styles)
        np.testing.assert_array_equal(found.boxes, item.boxes)
        np.testing.assert_array_equal(found.labels, item.labels)
        assert (found.masks is not None) == (detector == "mask_rcnn")


def test_the_style_depends_on_the_occasion_and_on_nothing_else(tmp_path):
    examples = fourier(tmp_path, augment="strong").examples(0)
    first = [examples[occasion, 1].image for occasion in range(6)]
    again = [examples[occasion, 1].image for occasion in reversed(range(6))][::-1]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert fourier(tmp_path, augment="none", scope="head")._maps is None


# Teacher

def found(boxes: list[list[float]], scores: list[float]) -> dict[str, torch.Tensor]:
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "scores": torch.tensor(scores),
            "labels": torch.arange(len(scores))}


def test_boxes_below_the_threshold_and_on_the_empty_canvas_are_no_objects():
    said = found([[1, 2, 10, 12], [3, 3, 9, 9], [-5, 4, 8, 60], [41, 0, 60, 30]], [0.9, 0.6, 0.7, 0.95])
    kept = sure(said, (30, 40), threshold=0.7)
    assert kept["labels"].tolist() == [0, 2]
    assert kept["boxes"].tolist() == [[1, 2, 10, 12], [0, 4, 8, 30]]


def test_a_mirrored_picture_has_mirrored_boxes():
    said = found([[1, 2, 10, 12]], [0.9])
    assert sure(said, (30, 40), threshold=0.5, mirrored=True)["boxes"].tolist() == [[30, 2, 39, 12]]


def test_the_student_sees_what_the_teacher_sees_in_other_colours_and_mirrored_by_chance(tmp_path):
    lesson, _ = teacher(tmp_path, augment="standard")
    examples = lesson.examples(0)
    items = [examples[occasion, index] for occasion in range(3) for index in range(4)]
    assert {item.mirrored for item in items} == {True, False}
    plains = [to_tensor(lesson.target_pictures[place]) for place in range(6)]
    assert all(any(torch.equal(item.plain, one) for one in plains) for item in items)
    for item in (one for one in items if len(one.plain.unique()) > 1):
        straight = item.shown.flip(-1) if item.mirrored else item.shown
        bright = [image.float().mean(dim=0).flatten() for image in (item.plain, straight)]
        assert float(torch.corrcoef(torch.stack(bright))[0, 1]) > 0.5
    still, _ = teacher(tmp_path / "light", augment="light")
    assert not any(still.examples(0)[occasion, 0].mirrored for occasion in range(8))


def batch_of(lesson: BoxTeacherLesson) -> TaughtBoxBatch:
    examples = lesson.examples(0)
    made = lesson.batch([examples[0, index] for index in (1, 2)])
    assert isinstance(made, TaughtBoxBatch)
    return made


@pytest.mark.parametrize("detector", sorted(set(ON_ANY_BACKBONE) - set(MASKS)))
def test_the_gradient_is_the_sources_and_the_strength_of_the_targets(detector, tmp_path):
    lesson, network = teacher(tmp_path, detector, strength=0.5)
    lesson._told = says_a_box
    lesson.progress = 0.15
    batch, every = batch_of(lesson), torch.arange(2)
    network.eval()  # else some detectors draw what they drop
    torch.manual_seed(3)
    share = lesson.backward(network, batch, batch, every)
    both = gradients(network)
    network.zero_grad()
    torch.manual_seed(3)
    plain = BoxLesson.backward(lesson, network, batch, batch, every)
    told = lesson._told(batch.plain)
    targets = [{"boxes": torch.stack([one["boxes"][:, 0::2].clamp(0, 64), one["boxes"][:, 1::2].clamp(0, 48)], 2
                                     ).flatten(1), "labels": one["labels"]} for one in told]
    large = [((t["boxes"][:, 2:] - t["boxes"][:, :2]) >= 2).all(dim=1) for t in targets]
    targets = [{key: value[keep] for key, value in t.items()} for t, keep in zip(targets, large, strict=True)]
    loss = 0.5 * ramp(0.15) * sum(network.head.losses(
        network.backbone.maps(batch.shown), batch.shown, targets).values())
    loss.backward()
    assert share.loss == pytest.approx(plain.loss + float(loss.detach()), rel=1e-3)
    assert share.shown == plain.shown
    for one, other in zip(both, gradients(network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)


def test_where_no_box_is_sure_the_source_alone_teaches(tmp_path):
    lesson, network = teacher(tmp_path, threshold=1.0)
    batch, every = batch_of(lesson), torch.arange(2)
    share = lesson.backward(network, batch, batch, every)
    both = gradients(network)
    network.zero_grad()
    assert share == BoxLesson.backward(lesson, network, batch, batch, every)
    for one, other in zip(both, gradients(network), strict=True):
        torch.testing.assert_close(one, other)


def test_the_history_counts_what_teaches_and_a_start_that_is_sure_of_nothing_is_told_of(tmp_path):
    events = Events()
    MeanTeacher.parse({**SMALL, "epochs": 1, "threshold": 1.0}).fit(model(), parts(tmp_path),
                                                                   context(tmp_path, events))
    assert [row["target_boxes"] for row in rows(events)] == [0]
    assert "on 6 images of the target the start is sure of no box (score 1), so that they teach nothing" in \
        events.notes()


def test_a_detector_of_masks_has_no_teacher_of_boxes():
    with pytest.raises(ConfigError, match="mean_teacher: teaches boxes, and this detector learns the pixels"):
        BoxTeacherLesson.refuse(MeanTeacher(), model("mask_rcnn"))


def test_the_targets_pictures_leave_the_statistics_of_the_head_as_they_are(tmp_path):
    lesson, network = teacher(tmp_path, "yolox")
    lesson._told = says_a_box
    network.train()
    batch, every = batch_of(lesson), torch.arange(2)
    before = {name: tensor.clone() for name, tensor in network.head.state_dict().items() if "running" in name}
    alone = teacher(tmp_path / "alone", "yolox", threshold=1.0)
    alone[1].train()
    shares = []
    for taught, seen in ((lesson, network), alone):
        torch.manual_seed(0)
        shares.append(taught.backward(seen, batch, batch, every))
    assert shares[0].loss > shares[1].loss
    after = {name: network.head.state_dict()[name] for name in before}
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(alone[1].head.state_dict()[name], tensor) for name, tensor in after.items())
    assert all(module.training for module in network.head.modules() if "BatchNorm" in type(module).__name__)


def test_gradient_checkpointing_gives_the_same_gradient_where_batch_norm_learns(tmp_path):
    found = []
    for name, stages in (("plain", False), ("recomputed", True)):
        lesson, network = teacher(tmp_path / name, "fcos", batch_norm="train")
        lesson._told = says_a_box
        network.train()
        batch = batch_of(lesson)
        with recomputed(network.backbone.stages() if stages else []):
            lesson.backward(network, batch, batch, torch.arange(2))
        found.append(gradients(network))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


# Statistics

@pytest.mark.parametrize("detector", ["yolox", "ssdlite", "rt_detr"])
def test_a_detector_gets_the_targets_statistics_in_backbone_and_head(detector, tmp_path):
    require_statistics_of(parts(tmp_path).target.subset([0, 2, 4]), model(detector), tmp_path)
