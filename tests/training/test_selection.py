"""Which epoch is kept, and when training stops: by the metric that is reported, and by improvements that count."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from headstart.metrics.compute import compute
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel
from headstart.training.learner import Learner
from headstart.training.monitor import MODES, ONLY, Monitor
from headstart.training.train import train
from tests.training.small import Events, context, model, plan, rows, splits

NAMES = [(kind, name) for kind in (Classification(), Multilabel()) for name in MODES
         if name != "loss" and name not in set().union(*(ONLY[k] for k in ONLY if k != kind.part_name))]


@pytest.mark.parametrize(("task", "name"), NAMES)
def test_validation_is_judged_by_the_metric_that_is_reported(task, name):
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(40, 3)).astype(np.float32))
    labels = rng.integers(0, 3, 40) if task.part_name == "classification" else rng.integers(0, 2, (40, 3))
    weights = rng.random(40)
    judged = Monitor(name, task, 3).judged(logits, torch.from_numpy(labels), torch.from_numpy(weights), 0.5)
    expected = compute(labels, task.probabilities(logits.numpy()), names=[name], weights=weights)[name][0]
    assert judged == expected


def test_a_class_that_validation_lacks_does_not_count_against_balanced_accuracy():
    answers = torch.eye(3)[[0, 0, 1, 2]] * 5
    truth = torch.tensor([0, 0, 1, 1])  # the last image is taken for class 2, of which there is none
    judged = Monitor("balanced_accuracy", Classification(), 3).judged(answers, truth, torch.ones(4), 0.0)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert judged == balanced_accuracy_score(truth, answers.argmax(1)) == 0.75


def test_images_of_weight_0_choose_no_epoch(tmp_path):
    parts = splits(tmp_path / "data")
    light = dataclasses.replace(parts.val, samples=tuple(
        dataclasses.replace(s, weight=float(n < 4)) for n, s in enumerate(parts.val.samples)))
    weighted, alone = Events(), Events()
    train(model(), dataclasses.replace(parts, val=light), plan(), context(tmp_path / "a", weighted))
    train(model(), dataclasses.replace(parts, val=parts.val.subset(range(4))), plan(), context(tmp_path / "b", alone))
    for mine, its in zip(rows(weighted), rows(alone), strict=True):
        assert mine["val_accuracy"] == its["val_accuracy"]
        assert mine["val_loss"] == pytest.approx(its["val_loss"], rel=1e-5)


@pytest.mark.parametrize(("gain", "epochs"), [(0.008, 8), (0.001, 3)])
def test_steady_small_gains_add_up_for_min_delta(monkeypatch, tmp_path, gain, epochs):
    """min_delta is measured from the last improvement that counted: 0.008 an epoch is 0.016 in two."""
    course = iter(np.arange(20) * gain + 0.5)
    monkeypatch.setattr(Learner, "validate", lambda self: (float(next(course)), 1.0))
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=8, patience=3, min_delta=0.01), context(tmp_path, events))
    assert len(rows(events)) == epochs
