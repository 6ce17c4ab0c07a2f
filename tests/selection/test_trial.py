"""The trial: what a rate does to the network, not what validation saves of it."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.errors import DivergedError
from headstart.events import silent
from headstart.methods.finetune import Finetune
from headstart.selection.candidates import load
from headstart.selection.trial import FEW, Arm, Trial, _Course, short_tuning
from tests.selection.small import pool_on, write_data

GENTLE, RUINOUS = 1e-6, 0.9


def tried(data, weights, rates) -> Trial:
    backbone, _ = load(weights, 32, 3, "squash", ("any",))
    found = short_tuning(pool_on(data), backbone, augment="none", listen=silent, remaining=lambda: 1e9, rates=rates)
    assert isinstance(found, Trial)
    return found


def test_a_rate_that_destroys_the_network_does_not_count_as_one_that_does_no_harm(data, alive):
    found = tried(data, alive, (GENTLE, RUINOUS))
    gentle, ruinous = found.arms
    assert ruinous.worse
    assert ruinous.gain < -0.1
    assert found.best is gentle


def test_a_rate_that_validation_did_not_like_is_never_the_best():
    liked, lucky = Arm(1e-4, -0.03, 0.03, 0.1), Arm(1e-3, 0.0, 0.03, 0.0, worse=True)
    assert Trial(180, 60, 0.8, (liked, lucky), 0.02).best is liked
    assert not Trial(180, 60, 0.8, (lucky,), 0.02).helped


def test_a_short_training_that_diverges_is_right_in_nothing(data, alive, monkeypatch):
    def diverge(*words):
        raise DivergedError("the loss is NaN")

    monkeypatch.setattr(Finetune, "fit", diverge)
    found = tried(data, alive, (GENTLE,))
    assert found.arms[0].worse
    assert found.arms[0].gain == -found.probe


def test_of_few_images_each_is_held_out_once(data, alive):
    found = tried(data, alive, (GENTLE,))
    assert found.images == found.held_out < FEW


def test_a_rate_that_clearly_loses_on_the_first_third_is_not_tried_on_the_others(data, alive, monkeypatch):
    rates = []
    fit = Finetune.fit

    def counted(method, *words):
        rates.append(method.lr_backbone)
        return fit(method, *words)

    monkeypatch.setattr(Finetune, "fit", counted)
    monkeypatch.setattr("headstart.selection.trial.SURE", 0.5)
    tried(data, alive, (GENTLE, RUINOUS))
    assert rates == [GENTLE, RUINOUS, GENTLE, GENTLE]


@pytest.mark.parametrize(("change", "worse", "second"), [(-0.5, False, 1e-3), (0.0, False, 1e-4), (0.5, False, 1e-4),
                                                         (-0.5, True, 1e-4)])
def test_the_next_rate_is_higher_where_the_first_has_a_clearly_lower_loss_and_lower_elsewhere(change, worse, second):
    course = _Course("none", 40)
    rates = course.wanted((3e-4, 1e-4, 1e-3))
    assert next(rates) == 3e-4
    right, loss = np.ones(60), np.linspace(0.9, 1.1, 60)
    course._tried[3e-4] = [((right, loss), (right, loss + change), worse)]
    assert list(rates) == [second]


def test_where_hardly_any_image_could_be_held_out_nothing_is_tried(tmp_path, alive):
    backbone, _ = load(alive, 32, 3, "squash", ("any",))
    few = pool_on(write_data(tmp_path / "few", each=13))
    assert short_tuning(few, backbone, augment="none", listen=silent, remaining=lambda: 1e9) == "few"


def test_two_groups_are_too_few_to_learn_choose_and_hold_out(data, alive):
    backbone, _ = load(alive, 32, 3, "squash", ("any",))
    pool = pool_on(data)
    halves = tuple(replace(sample, group=str(place % 2)) for place, sample in enumerate(pool.images.samples))
    two = replace(pool, images=replace(pool.images, samples=halves))
    assert short_tuning(two, backbone, augment="none", listen=silent, remaining=lambda: 1e9) == "few"


def test_where_the_time_was_up_that_is_why_there_is_no_trial(data, alive):
    backbone, _ = load(alive, 32, 3, "squash", ("any",))
    assert short_tuning(pool_on(data), backbone, augment="none", listen=silent, remaining=lambda: 0.0) == "time"
