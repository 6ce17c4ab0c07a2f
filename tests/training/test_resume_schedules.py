"""kill -9 under every schedule that has a state of its own: resumed, it ends in the bits of an unbroken training."""

import signal

import pytest

from headstart.events import Note, RatesTried
from headstart.training.train import train
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, model, plan, rows, splits

SCHEDULES = {
    "fixed unfreezing": {"unfreeze": "fixed"},
    "unfreezing on a plateau": {"unfreeze": "plateau", "min_delta": 0.9},
    "layer-wise rates": {"layer_decay": 0.5},
    "EMA": {"average": "ema"},
    "SWA": {"average": "swa", "batch_norm": "train"},
    "mixup, L2-SP, EWC and smoothing": {"mix": "mixup", "regularisers": ["l2_sp", "ewc"], "label_smoothing": 0.1},
    "cutmix, drop path and dropout": {"mix": "cutmix", "drop_path": 0.3, "dropout": 0.2},
    "adapted BatchNorm": {"batch_norm": "adapt", "regularisers": ["feature_distillation"], "average": "ema"},
    "found learning rates": {"find_lr": True},
    "micro-batches": {"micro_batch": 3},
    "balanced sampling and focal loss": {"sampling": "balanced", "loss": "focal"},
    "distance to the pretrained features": {"regularisers": ["feature_distillation"]},
    "self-distillation": {"regularisers": ["self_distillation"], "average": "ema"},
    "checkpointed gradients": {"gradient_checkpointing": True, "batch_norm": "train"},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_killed_training_resumes_to_the_same_bits_under(name, tmp_path):
    settings = plan(checkpoint_seconds=0.02, **SCHEDULES[name])
    parts, events = splits(tmp_path / "data"), Events()
    unbroken = train(model(), parts, settings, context(tmp_path / "unbroken", events))
    code = in_child(lambda: train(model(), parts, settings, context(tmp_path, kill_at_step(8))))
    assert code == -signal.SIGKILL
    again = Events()
    assert digest(train(model(), parts, settings, context(tmp_path, again))) == digest(unbroken)
    assert rows(again) == rows(events)
    assert [e.chosen for e in again.of(RatesTried)] == [e.chosen for e in events.of(RatesTried)]


OVERFITTING = [{"epoch": e, "train_loss": 1 / e, "val_loss": 0.5 + abs(e - 2) / 4, "train_accuracy": 1.0,
                "val_accuracy": 0.5} for e in range(1, 9)]


@pytest.fixture
def always_overfitting(monkeypatch):
    """Let the watch see an overfitting course from the fifth epoch of a level on."""
    from headstart.training import overfitting, watch

    monkeypatch.setattr(overfitting, "watch", lambda rows, monitor: watch.watch(OVERFITTING[:len(rows)], monitor))


def test_raised_regularisation_resumes_to_the_same_bits(always_overfitting, tmp_path):
    settings = plan(checkpoint_seconds=0.02, epochs=12, on_overfit="regularise", batch_size=10)
    parts, events = splits(tmp_path / "data"), Events()
    unbroken = train(model(), parts, settings, context(tmp_path / "unbroken", events))
    levels = [row["level"] for row in rows(events)]
    assert levels[0] == 0
    assert max(levels) >= 1
    assert levels == sorted(levels)
    raised = 2 * levels.index(1)
    for step in (raised - 1, raised + 1):  # two steps an epoch: before and after the level was raised
        assert in_child(lambda at=step: train(model(), parts, settings, context(tmp_path, kill_at_step(at)))) == -9
    again = Events()
    assert digest(train(model(), parts, settings, context(tmp_path, again))) == digest(unbroken)
    assert rows(again) == rows(events)
    assert "regularisation was raised" in again.notes()
    assert ("It helped." in again.notes()) != ("It did not help." in again.notes())


def test_a_teacher_that_is_an_average_begins_anew_at_each_level(always_overfitting, tmp_path):
    settings = plan(checkpoint_seconds=0.02, epochs=12, on_overfit="regularise", batch_size=10, average="ema",
                    regularisers=["self_distillation"])
    parts, events = splits(tmp_path / "data"), Events()
    unbroken = train(model(), parts, settings, context(tmp_path / "unbroken", events))
    raised = 2 * [row["level"] for row in rows(events)].index(1)
    for step in (raised, raised + 1):  # with the checkpoint that was written as the level was raised, and after
        assert in_child(lambda at=step: train(model(), parts, settings, context(tmp_path, kill_at_step(at)))) == -9
    assert digest(train(model(), parts, settings, context(tmp_path, Events()))) == digest(unbroken)


def test_the_watch_acts_where_the_loss_is_monitored(always_overfitting, tmp_path):
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=12, on_overfit="stop", monitor="loss"),
          context(tmp_path, events))
    assert "stopped after epoch" in events.notes()


def test_raising_goes_back_to_the_best_weights_and_raises_what_it_says(always_overfitting, tmp_path):
    from headstart.training.learner import Learner

    seen, dropping = [], []
    real = Learner.enter_level

    def enter(self):
        real(self)
        dropping.append((self.state.level, max(
            (m.p for m in self.network.modules() if type(m).__name__ == "StochasticDepth"), default=0.0)))
        seen.append((self.state.level, next(g["weight_decay"] for g in self.optimizer.param_groups if g["own_decay"])))

    settings = plan(epochs=12, on_overfit="regularise", batch_size=10, weight_decay=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "enter_level", enter)
        train(model(), splits(tmp_path / "data"), settings, context(tmp_path, Events()))
    decays = dict(seen)
    assert decays[0] == pytest.approx(0.01)
    assert decays[1] == pytest.approx(0.03)
    assert dict(dropping)[0] == 0
    assert dict(dropping)[1] == pytest.approx(0.1)


def test_on_overfit_stop_ends_with_the_best_weights_and_says_why(always_overfitting, tmp_path):
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=12, on_overfit="stop"), context(tmp_path, events))
    notes = [event.text for event in events.of(Note)]
    assert any("stopped after epoch" in text and "Overfitting from epoch" in text for text in notes)
    assert len(rows(events)) < 12
