"""Training a segmenter beside a target: styles, a teacher, and that a break changes nothing."""

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.data.augment_masks import Recolour
from headstart.data.class_mix import half_of_classes
from headstart.data.dataset import Dataset
from headstart.data.fourier import in_style_of
from headstart.data.transforms import to_tensor
from headstart.events import silent
from headstart.methods.fda import Fda
from headstart.methods.mean_teacher import MeanTeacher
from headstart.model import Model
from headstart.training.averaging import Averaging
from headstart.training.batch_norm import restated_whole
from headstart.training.fourier_lesson import FourierMaskLesson
from headstart.training.lesson import Lesson
from headstart.training.mask_lesson import MaskLesson
from headstart.training.network import Network
from headstart.training.taught_lesson import ramp
from headstart.training.teacher_lesson import TaughtBatch, TeacherLesson, taught
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

def test_what_was_laid_weighs_one_and_the_teachers_answers_the_share_that_is_sure():
    logits = torch.tensor([[[2.0, 0.0, -3.0], [0.1, -4.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])[None]
    inside = torch.tensor([[[True, True, True], [True, True, False]]])
    laid = torch.tensor([[[1, IGNORED, IGNORED], [0, IGNORED, IGNORED]]])
    labels, weights = taught(logits, laid, inside, threshold=0.8)
    # Sure are 2 against 0 (0.88), -3 (0.95) and -4 (0.98): 3 of the 5 pixels of the picture.
    assert labels[inside].tolist() == [1, 0, 1, 0, 1]
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 0.6, 0.6], [1.0, 0.6, 0.0]]]))


def test_each_image_has_a_share_of_its_own():
    logits = torch.zeros(2, 3, 4, 4)
    logits[0, 2] = 9.0
    nothing, inside = torch.full((2, 4, 4), IGNORED), torch.ones(2, 4, 4, dtype=torch.bool)
    _, weights = taught(logits, nothing, inside, threshold=0.9)
    assert weights.amin(dim=(1, 2)).tolist() == weights.amax(dim=(1, 2)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("progress", "expected"), [(0.0, math.exp(-5)), (0.15, math.exp(-1.25)), (0.3, 1.0),
                                                    (0.9, 1.0)])
def test_the_targets_loss_is_ramped_up(progress, expected):
    assert ramp(progress) == pytest.approx(expected)


def batch_of(lesson: TeacherLesson) -> TaughtBatch:
    examples = lesson.examples(0)
    found = lesson.batch([examples[0, index] for index in (0, 1)])
    assert isinstance(found, TaughtBatch)
    return found


def test_the_student_sees_half_of_the_sources_classes_on_the_target_in_other_colours(tmp_path, monkeypatch):
    monkeypatch.setattr(Recolour, "__call__", lambda self, image, *, seed: 255 - image)
    lesson, _ = teacher(tmp_path, augment="none")
    plains = [to_tensor(lesson.target_pictures[place]) for place in range(6)]
    examples = lesson.examples(0)
    for index in range(8):
        item = examples[1, index]
        assert any(torch.equal(item.plain, one) for one in plains)
        high, wide = (min(sides) for sides in zip(item.image.shape[-2:], item.plain.shape[-2:], strict=True))
        drawn = set(item.laid.unique().tolist()) - {IGNORED}
        assert len(drawn) == len(half_of_classes(item.classes[:high, :wide], seed=0))
        there = torch.zeros(item.plain.shape[-2:], dtype=torch.bool)
        there[:high, :wide] = torch.isin(item.classes[:high, :wide], torch.tensor(sorted(drawn), dtype=torch.uint8))
        assert torch.equal(item.laid != IGNORED, there)
        shown = 255 - item.shown
        assert torch.equal(shown[:, ~there], item.plain[:, ~there])
        corner = there[:high, :wide]
        assert torch.equal(shown[:, :high, :wide][:, corner], item.image[:, :high, :wide][:, corner])
        assert torch.equal(item.laid[:high, :wide][corner], item.classes[:high, :wide][corner])


def test_the_mix_depends_on_the_occasion_and_on_nothing_else(tmp_path):
    examples = teacher(tmp_path, augment="strong")[0].examples(0)
    first = [examples[occasion, 3] for occasion in range(6)]
    again = [examples[occasion, 3] for occasion in reversed(range(6))][::-1]
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("plain", "shown", "laid"))
    assert len({one.shown.numpy().tobytes() for one in first}) == 6


def test_on_the_canvas_nothing_is_laid_outside_a_picture(tmp_path):
    lesson, _ = teacher(tmp_path, augment="none")
    items = [lesson.examples(0)[0, index] for index in range(4)]
    batch = lesson.batch(items)
    assert len({item.plain.shape for item in items}) == 2
    for row, item in enumerate(items):
        high, wide = item.plain.shape[-2:]
        assert torch.equal(batch.laid[row, :high, :wide], item.laid.long())
        assert batch.inside[row].sum() == high * wide
        assert (batch.laid[row][~batch.inside[row]] == IGNORED).all()


def gradients(network: Network) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_the_gradient_is_the_sources_and_the_strength_of_the_targets(threshold, tmp_path):
    lesson, network = teacher(tmp_path, augment="none", threshold=threshold, strength=2.0)
    lesson.progress = 1.0
    batch, every = batch_of(lesson), torch.arange(2)
    share = lesson.backward(network, batch, batch, every)
    found = gradients(network)
    network.zero_grad()
    plain = MaskLesson.backward(lesson, network, batch, batch, every)
    with torch.no_grad():
        told = lesson._teacher.head(lesson._teacher.backbone.maps(batch.plain), batch.plain).softmax(dim=1)
    chances = network.head(network.backbone.maps(batch.shown), batch.shown).log_softmax(dim=1)
    means = []
    for row in range(2):
        places = batch.inside[row].nonzero().tolist()
        sure = sum(float(told[row, :, y, x].max()) >= threshold for y, x in places) / len(places)
        costs = [-chances[row, int(batch.laid[row, y, x]), y, x] if batch.laid[row, y, x] != IGNORED
                 else -sure * chances[row, int(told[row, :, y, x].argmax()), y, x] for y, x in places]
        means.append(torch.stack(costs).mean())
    (2.0 * torch.stack(means).mean()).backward()
    assert share.loss == pytest.approx(plain.loss + 2.0 * float(torch.stack(means).mean().detach()), rel=1e-4)
    assert share.shown == plain.shown
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(tmp_path):
    lesson, network = teacher(tmp_path, augment="none", threshold=0.6)
    network.eval()  # BatchNorm of the head would tell the parts from the whole
    lesson.progress = 1.0
    batch = batch_of(lesson)
    lesson.backward(network, batch, batch, torch.arange(2))
    whole = gradients(network)
    network.zero_grad()
    for row in range(2):
        lesson.backward(network, batch, batch, torch.tensor([row]))
    for one, other in zip(whole, gradients(network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_blank_batch_costs_what_a_batch_does(tmp_path):
    lesson, network = teacher(tmp_path)
    blank = lesson.blank(2)
    assert isinstance(blank, TaughtBatch)
    assert math.isfinite(lesson.backward(network, blank, blank, torch.arange(2)).loss)
    assert {name: getattr(blank, name).shape[0] for name in ("plain", "shown", "laid", "inside")} == \
        dict.fromkeys(("plain", "shown", "laid", "inside"), 2)


# Statistics

def require_statistics_of(target: Dataset, start: Model, folder: Path) -> None:
    """Every norm of the head, and of the backbone as far as maps come of it, has the mean and the variance of what it
    was given, in float64; nothing else has changed.
    """
    pictures = WholePictures(target, start.preprocessing, budget=1e9)
    pictures.load(step="decode", listen=silent, check=lambda: None)
    network, seen = nn.ModuleDict({"backbone": start.backbone, "head": start.head}), {}
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    handles = [norm.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0].double()}))
               for name, norm in norms.items()]
    made = restated_whole(start, pictures, context(folder, silent))
    for handle in handles:
        handle.remove()
    found = nn.ModuleDict({"backbone": made.backbone, "head": made.head})
    for name, norm in found.named_modules():
        if name in seen:
            assert len(seen[name]) == len(target), "one batch"
            torch.testing.assert_close(norm.running_mean.double(), seen[name].mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(norm.running_var.double(), seen[name].var(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
            assert not torch.equal(norm.running_mean, norms[name].running_mean)
        elif name in norms:
            assert torch.equal(norm.running_mean, norms[name].running_mean)
    assert {name for name in norms if name.startswith("head.")} <= seen.keys()
    assert any(name.startswith("backbone.") for name in seen)
    assert all(torch.equal(mine, its) for mine, its in zip(found.parameters(), network.parameters(), strict=True))


def test_a_segmenter_gets_the_targets_statistics_in_backbone_and_head(tmp_path):
    require_statistics_of(parts(tmp_path).target.subset([0, 2, 4]), model(), tmp_path)
