"""Distillation: whom the student listens to, and every teacher that may not teach."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from headstart.data.dataset import Splits
from headstart.errors import ConfigError, DataError
from headstart.methods import distill
from headstart.methods.distill import Distill
from headstart.training.weights import ordered
from tests.methods.past import finished, moved, splits
from tests.training.small import Events, context, digest, model, plan

QUICK = {"epochs": 3, "batch_size": 4, "lr_head": 1e-2, "lr_backbone": 1e-3}


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A student, its splits, and a teacher (a run) that was trained on them and is sure of itself."""
    folder, start = tmp_path_factory.mktemp("school"), model()
    parts = splits(folder / "data")
    taught_by = plan(epochs=6).fit(model(seed=1), parts, context(folder, Events()))
    with torch.no_grad():
        for parameter in taught_by.head.parameters():
            parameter.mul_(20)
    run = finished(folder / "runs" / "teacher", replace(taught_by, temperature=1.5), parts, start=taught_by)
    return start, parts, run


def relabelled(parts):
    """The splits with every label of train turned round."""
    turned = tuple(replace(sample, label=1 - sample.label) for sample in parts.train.samples)
    return Splits(replace(parts.train, samples=turned), parts.val, parts.test)


def answers(of, parts):
    return of.logits([sample.source for sample in parts.train.samples]).astype(float)


def test_with_the_teacher_alone_the_labels_are_not_heard(school, tmp_path):
    start, parts, run = school
    method = Distill(teacher=run, teacher_weight=1.0, augment="none", **QUICK)
    one = method.fit(start, parts, context(tmp_path / "one", Events()))
    two = method.fit(start, relabelled(parts), context(tmp_path / "two", Events()))
    assert digest(one) == digest(two) != digest(start)


def test_without_the_teachers_share_it_is_fine_tuning(school, tmp_path):
    start, parts, run = school
    deaf = Distill(teacher=run, teacher_weight=0.0, **QUICK).fit(start, parts, context(tmp_path / "deaf", Events()))
    plain = plan().fit(start, parts, context(tmp_path / "plain", Events()))
    assert digest(deaf) == digest(plain)


def test_the_student_comes_to_answer_like_its_teacher(school, tmp_path):
    start, parts, run = school
    method = Distill(teacher=run, teacher_weight=1.0, teacher_temperature=1.0, augment="none",
                     **{**QUICK, "epochs": 8, "lr_head": 5e-2})
    student = method.fit(start, parts, context(tmp_path / "student", Events()))
    told = softmax(answers(finished_model(run), parts) / 1.5, axis=1)

    def divergence(of):
        return rel_entr(told, softmax(answers(of, parts), axis=1)).sum(axis=1).mean()

    assert divergence(student) < 0.5 * divergence(start)


def finished_model(run):
    return distill.find_past_run(str(run), where="test").model()


@pytest.mark.parametrize("turned", [False, True])
def test_the_learner_is_given_the_soft_loss_of_calibrated_answers_matched_by_name(turned, school, tmp_path,
                                                                                  monkeypatch):
    start, parts, run = school
    taught_by = finished_model(run)
    if turned:
        run = finished(tmp_path / "turned", replace(ordered(taught_by, ("left", "right")), temperature=1.5), parts,
                       start=start)
    given = {}
    monkeypatch.setattr(distill, "train", lambda *args, teaching: given.update(teaching=teaching) or args[0])
    Distill(teacher=run, teacher_weight=0.7, teacher_temperature=3.0).fit(start, parts, context(tmp_path, Events()))
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mine = torch.tensor([[1.0, -1.0], [0.0, 2.0], [0.5, 0.5]])
    with torch.no_grad():
        theirs = taught_by.head(taught_by.backbone.pooled(images)).numpy().astype(float) / 1.5
    expected = 9 * rel_entr(softmax(theirs / 3, axis=1), softmax(mine.numpy() / 3.0, axis=1)).sum(axis=1)
    np.testing.assert_allclose(given["teaching"].losses(images, mine).numpy(), expected, rtol=1e-3)
    assert given["teaching"].weight == 0.7


def test_distillation_learns_several_labels(tmp_path):
    start, parts = model(task="multilabel"), splits(tmp_path / "data", task="multilabel")
    run = finished(tmp_path / "teacher", moved(start, seed=0), parts, start=start)
    events = Events()
    Distill(teacher=run, epochs=1, batch_size=4).fit(start, parts, context(tmp_path, events))
    assert "distill" in {event.method for event in events if hasattr(event, "method")}


def refused(run, start, parts, *, error=ConfigError):
    with pytest.raises(error) as found:
        Distill(teacher=run).refuse_unfit(start, parts)
    return str(found.value)


def test_a_teacher_that_is_not_there_or_can_not_teach_is_refused(school, tmp_path):
    start, parts, run = school
    assert "name the run whose model teaches, such as --set method.distill.teacher=" in refused("", start, parts)
    assert f'Did you mean "{run}"?' in refused(run.parent / "teachr", start, parts)
    several = finished(tmp_path / "several", model(task="multilabel"), parts, start=start)
    assert f"{several} does multilabel, this job classification" in refused(several, start, parts)
    named = finished(tmp_path / "named", replace(start, classes=("right", "up")), parts, start=start)
    assert "the teacher knows no left; it knows right, up." in refused(named, start, parts)
    grey = replace(start, preprocessing=start.preprocessing.model_copy(update={"channels": 1}))
    assert "the teacher takes images of 3 channels, the student of 1" in refused(run, grey, parts)


def test_a_teacher_that_has_seen_the_test_images_is_refused(school, tmp_path):
    start, parts, _ = school
    run = finished(tmp_path / "all", start, Splits(parts.test, parts.val, parts.train), start=start)
    said = refused(run, start, parts, error=DataError)
    assert f"distill: {run} has learned from, or was chosen on, 8 images" in said


def test_pictures_brought_to_the_square_in_another_way_are_spoken_of(school, tmp_path, monkeypatch):
    start, parts, run = school
    monkeypatch.setattr(distill, "train", lambda *args, **more: args[0])
    squashed = replace(start, preprocessing=start.preprocessing.model_copy(update={"fit": "squash"}))
    events = Events()
    Distill(teacher=run).fit(squashed, parts, context(tmp_path, events))
    assert "brought to the square by crop, and is shown the student's, by squash" in events.notes()
    assert "--set fit=crop makes them alike" in events.notes()
