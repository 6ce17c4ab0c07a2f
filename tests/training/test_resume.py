"""A run killed at any instant and resumed ends in the same bits as one that was never broken."""

import signal
from pathlib import Path

import pytest

from headstart.errors import ConfigError, Interrupted
from headstart.events import EpochEnded, Progress, silent
from headstart.training.train import train
from tests.training.killing import in_child, kill_at_fsync, kill_at_step
from tests.training.small import Events, context, digest, model, plan, rows, splits

PLAN = plan(checkpoint_seconds=0.02)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("unbroken")
    events = Events()
    return digest(train(model(), splits(folder / "data"), PLAN, context(folder, events))), rows(events)


def resumed(folder: Path) -> tuple[str, list[dict[str, float]]]:
    events = Events()
    return digest(train(model(), splits(folder / "data"), PLAN, context(folder, events))), rows(events)


@pytest.mark.parametrize("step", [1, 8, 10, 15])
def test_kill_at_a_step_changes_no_bit(unbroken, tmp_path, step):
    parts = splits(tmp_path / "data")
    code = in_child(lambda: train(model(), parts, PLAN, context(tmp_path, kill_at_step(step))))
    assert code == -signal.SIGKILL
    assert resumed(tmp_path) == unbroken


@pytest.mark.parametrize("write", [2, 13, 30])
def test_kill_while_a_checkpoint_is_written_changes_no_bit(unbroken, tmp_path, write):
    parts = splits(tmp_path / "data")

    def work() -> None:
        kill_at_fsync(write)
        train(model(), parts, PLAN, context(tmp_path, silent))

    assert in_child(work) == -signal.SIGKILL
    assert resumed(tmp_path) == unbroken
    assert not list((tmp_path / "checkpoints").glob("*.tmp-*"))


def test_killed_again_and_again_changes_no_bit(unbroken, tmp_path):
    parts = splits(tmp_path / "data")
    for step in (2, 7, 11):
        assert in_child(lambda at=step: train(model(), parts, PLAN, context(tmp_path, kill_at_step(at)))) == -9
    assert resumed(tmp_path) == unbroken


def test_workers_change_no_bit(unbroken, tmp_path):
    events = Events()
    trained = train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, events, workers=2))
    assert (digest(trained), rows(events)) == unbroken


def test_global_generator_changes_no_bit_and_is_left_as_it_was(unbroken, tmp_path):
    import torch

    start, parts = model(), splits(tmp_path / "data")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert digest(train(start, parts, PLAN, context(tmp_path, silent))) == unbroken[0]
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_other_seed_gives_other_weights(unbroken, tmp_path):
    trained = train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, silent, seed=8))
    assert digest(trained) != unbroken[0]


def test_resuming_a_finished_training_runs_no_step(unbroken, tmp_path):
    resumed(tmp_path)
    events = Events()
    trained = train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, events))
    assert (digest(trained), rows(events)) == unbroken
    assert not events.of(Progress)


def test_signal_leaves_a_checkpoint_of_that_very_step(unbroken, tmp_path):
    parts, events = splits(tmp_path / "data"), Events()
    events.then = kill_at_step(7, signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"finetune, step 7 of 15: stopped by SIGTERM.*headstart resume") as caught:
        train(model(), parts, PLAN, context(tmp_path, events))
    assert caught.value.exit_code == 143
    again = Events()
    trained = train(model(), parts, PLAN, context(tmp_path, again))
    assert min(e.done for e in again.of(Progress) if e.step.endswith("training")) == 8
    assert (digest(trained), rows(again)) == unbroken


def test_signal_during_validation_loses_no_step(unbroken, tmp_path, monkeypatch):
    from headstart.training.learner import Learner

    real, calls = Learner.validate, []

    def validate(self):
        calls.append(1)
        if len(calls) == 3:
            self.stop.requested = signal.SIGTERM
        return real(self)

    monkeypatch.setattr(Learner, "validate", validate)
    with pytest.raises(Interrupted):
        train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, silent))
    monkeypatch.undo()
    events = Events()
    trained = train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, events))
    assert (digest(trained), rows(events)) == unbroken
    assert min(e.done for e in events.of(Progress) if e.step.endswith("training")) == 11


def test_resume_with_other_settings_is_refused(tmp_path):
    parts = splits(tmp_path / "data")
    in_child(lambda: train(model(), parts, PLAN, context(tmp_path, kill_at_step(3))))
    with pytest.raises(ConfigError, match=r"epochs was 3, is 4.*start a new run with another --out"):
        train(model(), parts, plan(checkpoint_seconds=0.02, epochs=4), context(tmp_path, silent))


def test_time_limit_ends_with_the_best_so_far(tmp_path):
    events, left = Events(), iter([9.0] * 7)
    trained = train(model(), splits(tmp_path / "data"), PLAN,
                    context(tmp_path, events, remaining=lambda: next(left, 0.0)))
    assert [event.step for event in events.of(EpochEnded)] == [5, 8]
    assert "the time limit ends training after 8 of 15 steps" in events.notes()
    again = Events()
    assert digest(train(model(), splits(tmp_path / "data"), PLAN, context(tmp_path, again))) == digest(trained)
    assert not again.of(Progress)
