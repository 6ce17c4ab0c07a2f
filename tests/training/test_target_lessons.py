"""Training a segmenter beside a target: styles, a teacher, and that a break changes nothing."""

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.fourier import in_style_of
from headstart.data.transforms import to_tensor
from headstart.events import silent
from headstart.methods.fda import Fda
from headstart.methods.mean_teacher import MeanTeacher
from headstart.training.averaging import Averaging
from headstart.training.batch_norm import restated_whole
from headstart.training.fourier_lesson import FourierMaskLesson
from headstart.training.lesson import Lesson
from headstart.training.mask_lesson import MaskLesson
from headstart.training.network import Network
from headstart.training.taught_lesson import ramp
from headstart.training.teacher_lesson import TaughtBatch, TeacherLesson, sure
from headstart.training.whole_pictures import WholePictures
from headstart.types import IGNORED
from tests.domains.test_place_sample import parts
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows
from tests.training.test_mask_lesson import model

SMALL = {"epochs": 2, "batch_size": 4, "lr_head": 1e-2, "lr_backbone": 1e-3, "checkpoint_seconds": 0.001,
         "guard": "none"}


def loaded(lesson: Lesson) -> Lesson:
    for pictures in lesson.decoded().values():
        pictures.load(step="decode", listen=silent, check=lambda: None)
    return lesson


def fourier(folder: Path, **settings: object) -> FourierMaskLesson:
    return loaded(FourierMaskLesson(model(), parts(folder), Fda.parse({**SMALL, **settings}), context(folder, silent)))


def teacher(folder: Path, **settings: object) -> tuple[TeacherLesson, Network]:
    plan = MeanTeacher.parse({**SMALL, "average": "ema", **settings})
    lesson = loaded(TeacherLesson(model(), parts(folder), plan, context(folder, silent)))
    network = Network(lesson.model.backbone, lesson.model.head, plan)
    lesson.begin(network, Averaging(network, plan.average).averaged, None)
    return lesson, network


@pytest.mark.parametrize("method", [Fda, MeanTeacher])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(method, tmp_path):
    splits, chosen, events = parts(tmp_path), method.parse({**SMALL, "augment": "strong"}), Events()
    start = model()
    whole = chosen.fit(start, splits, context(tmp_path / "whole", events))
    assert in_child(lambda: chosen.fit(start, splits, context(tmp_path / "broken", kill_at_step(4)))) == \
        -signal.SIGKILL
    again = Events()
    assert digest(chosen.fit(start, splits, context(tmp_path / "broken", again))) == digest(whole)
    assert rows(again) == rows(events)
    assert "resumed at step" in again.notes()


# Fourier

def test_a_training_image_is_the_sources_in_the_style_of_one_of_the_target(tmp_path):
    lesson = fourier(tmp_path, augment="none", beta=0.1)
    examples = lesson.examples(0)
    for index in range(4):
        item = lesson.pictures.labelled(index)
        styles = [lesson.preprocessing.resize(lesson.target_pictures[place], item.picture.shape[:2])
                  for place in range(6)]
        possible = [to_tensor(in_style_of(item.picture, style, beta=0.1)) for style in styles]
        found = examples[3, index]
        assert any(torch.equal(found.image, one) for one in possible)
        np.testing.assert_array_equal(found.classes, item.classes)


def test_the_style_depends_on_the_occasion_and_on_nothing_else(tmp_path):
    examples = fourier(tmp_path, augment="none").examples(0)
    first = [examples[occasion, 0].image for occasion in range(6)]
    again = [examples[occasion, 0].image for occasion in reversed(range(6))][::-1]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.numpy().tobytes() for one in first}) > 1


def test_the_maps_of_a_frozen_backbone_are_not_kept_where_styles_vary(tmp_path):
    assert fourier(tmp_path, augment="none", scope="head")._maps is None


# Teacher

def test_a_pixel_below_the_threshold_or_outside_the_picture_is_ignored():
    logits = torch.tensor([[[2.0, 0.0, -3.0], [0.1, -4.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])[None]
    inside = torch.tensor([[[True, True, True], [True, True, False]]])
    found = sure(logits, inside, threshold=0.8)
    assert found.tolist() == [[[0, IGNORED, 1], [IGNORED, 1, IGNORED]]]


@pytest.mark.parametrize(("progress", "expected"), [(0.0, math.exp(-5)), (0.15, math.exp(-1.25)), (0.3, 1.0),
                                                    (0.9, 1.0)])
def test_the_targets_loss_is_ramped_up(progress, expected):
    assert ramp(progress) == pytest.approx(expected)


def batch_of(lesson: TeacherLesson) -> TaughtBatch:
    examples = lesson.examples(0)
    found = lesson.batch([examples[0, index] for index in (0, 1)])
    assert isinstance(found, TaughtBatch)
    return found


def test_teacher_and_student_see_the_same_places_in_other_colours(tmp_path):
    lesson, _ = teacher(tmp_path, augment="none")
    item = lesson.examples(0)[0, 0]
    plains = [to_tensor(lesson.target_pictures[place]) for place in range(6)]
    assert any(torch.equal(item.plain, one) for one in plains)
    assert item.shown.shape == item.plain.shape
    assert not torch.equal(item.shown, item.plain)
    bright = [image.float().mean(dim=0).flatten() for image in (item.plain, item.shown)]
    assert float(torch.corrcoef(torch.stack(bright))[0, 1]) > 0.5


def gradients(network: Network) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def test_the_gradient_is_the_sources_and_the_strength_of_the_targets(tmp_path):
    lesson, network = teacher(tmp_path, augment="none", threshold=0.0, strength=2.0)
    lesson.progress = 1.0
    batch, every = batch_of(lesson), torch.arange(2)
    share = lesson.backward(network, batch, batch, every)
    found = gradients(network)
    network.zero_grad()
    plain = MaskLesson.backward(lesson, network, batch, batch, every)
    with torch.no_grad():
        told = lesson._teacher.head(lesson._teacher.backbone.maps(batch.plain), batch.plain)
        labels = told.argmax(dim=1).where(batch.inside, IGNORED)
    logits = network.head(network.backbone.maps(batch.shown), batch.shown)
    means = [torch.nn.functional.cross_entropy(logits[row, :, batch.inside[row]].T[None].transpose(1, 2),
                                               labels[row, batch.inside[row]][None]) for row in range(2)]
    (2.0 * torch.stack(means).mean()).backward()
    assert share.loss == pytest.approx(plain.loss + 2.0 * float(torch.stack(means).mean().detach()), rel=1e-4)
    assert share.shown == plain.shown
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_where_no_pixel_is_sure_the_source_alone_teaches(tmp_path):
    lesson, network = teacher(tmp_path, augment="none", threshold=1.0)
    lesson.progress = 1.0
    batch, every = batch_of(lesson), torch.arange(2)
    share = lesson.backward(network, batch, batch, every)
    found = gradients(network)
    network.zero_grad()
    assert share == MaskLesson.backward(lesson, network, batch, batch, every)
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other)


# Statistics

def test_whole_pictures_give_batch_norm_their_own_statistics(tmp_path):
    splits, start = parts(tmp_path), model()
    pictures = WholePictures(splits.target.subset([0, 2, 4]), start.preprocessing, budget=1e9)
    pictures.load(step="decode", listen=silent, check=lambda: None)
    first = next(module for module in start.backbone.modules() if "BatchNorm" in type(module).__name__)
    seen: list[torch.Tensor] = []
    handle = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    found = restated_whole(start, pictures, context(tmp_path, silent)).backbone
    handle.remove()
    assert len(seen) == 1
    first = next(module for module in found.modules() if "BatchNorm" in type(module).__name__)
    torch.testing.assert_close(first.running_mean, seen[0].mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, seen[0].var(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
