"""The study: draws that a kill does not change, one trial for each process, Hyperband, importances."""

import faulthandler
import os
from pathlib import Path

import pytest

from headstart.errors import IntegrityError, ResourceError
from headstart.methods.finetune import Finetune
from headstart.methods.probe import Probe
from headstart.methods.scratch import Scratch
from headstart.tuning.outcome import Outcome, best_of, said, write_trials
from headstart.tuning.space import default_space, own_space
from headstart.tuning.study import Study, begin, take_back
from tests.training.killing import PATIENCE

SPACE = default_space([Probe(), Finetune(), Scratch()])


def opened(folder: Path, *, space=SPACE, epochs: int = 3, seed: int = 0, maximise: bool = True) -> Study:
    path = folder / "study.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        begin(path, space, maximise=maximise)
    return Study(path, seed=seed, maximise=maximise, epochs=epochs)


def value(settings: dict) -> float:
    """A made-up result that depends on the settings."""
    return settings.get("lr_head", 0.001) * 10 + settings.get("layer_decay", 1.0) / 10


def carry_out(study: Study, space, trials: int) -> list[dict]:
    drawn = []
    while (trial := study.ask(trials)) is not None:
        settings = trial.draw(space)
        drawn.append(settings)
        trial.spared = trial.number < 3
        if any(trial.report(f"epoch {epoch}", value(settings) * epoch / 3) for epoch in range(1, 4)):
            trial.prune(seconds=0.0)
        else:
            trial.finish(value(settings), 0.5, seconds=0.0)
    return drawn


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    study = opened(tmp_path_factory.mktemp("unbroken"))
    carry_out(study, SPACE, 18)
    return study.outcomes()


def test_the_defaults_are_tried_first(unbroken):
    assert [o.settings for o in unbroken[:3]] == [SPACE.start(name) for name in ("probe", "finetune", "scratch")]


def test_a_settled_method_is_tried_once(unbroken):
    assert [o.number for o in unbroken if o.settings["method"] == "probe"] == [0]
    assert {o.settings["method"] for o in unbroken[3:]} == {"finetune", "scratch"}


def test_the_sampler_learns(unbroken):
    # The made-up result grows with lr_head: later draws lie higher than the random ones before.
    rates = [o.settings["lr_head"] for o in unbroken[3:]]
    assert sum(rates[-6:]) > sum(rates[:6])


def test_draws_stay_inside_the_space(unbroken):
    for outcome in unbroken:
        for name, drawn in outcome.settings.items():
            dimension = SPACE.searched[outcome.settings["method"]].get(name)
            assert dimension is None or dimension.nearest(drawn) == drawn


def test_equal_seeds_draw_alike_and_others_do_not(unbroken, tmp_path):
    assert carry_out(opened(tmp_path / "a"), SPACE, 8) == [o.settings for o in unbroken[:8]]
    assert carry_out(opened(tmp_path / "b", seed=1), SPACE, 5)[3:] != [o.settings for o in unbroken[3:5]]


@pytest.mark.parametrize(("draws", "epochs"), [(0, 0), (3, 0), (99, 0), (99, 1), (99, 2)])
def test_a_trial_that_was_killed_begins_again_as_if_it_had_not(unbroken, tmp_path, draws, epochs):
    study = opened(tmp_path)
    carry_out(study, SPACE, 6)
    trial = study.ask(7)
    assert trial is not None
    real, count = trial._suggest, iter(range(draws))

    class Killed(Exception):
        pass

    def suggest(name, dimension):
        if next(count, None) is None:
            raise Killed
        return real(name, dimension)

    trial._suggest = suggest
    try:
        settings = trial.draw(SPACE)
        for epoch in range(1, epochs + 1):
            trial.report(f"epoch {epoch}", value(settings) * epoch / 3)
    except Killed:
        pass
    study.close()
    assert take_back(tmp_path / "study.db", maximise=True) == 1
    again = opened(tmp_path)
    carry_out(again, SPACE, 9)
    assert again.outcomes() == unbroken[:9]


def test_taking_back_a_whole_study_changes_nothing(tmp_path):
    study = opened(tmp_path)
    carry_out(study, SPACE, 5)
    before, file = study.outcomes(), (tmp_path / "study.db").read_bytes()
    study.close()
    assert take_back(tmp_path / "study.db", maximise=True) == 0
    assert (tmp_path / "study.db").read_bytes() == file
    assert opened(tmp_path).outcomes() == before


def test_no_more_trials_than_asked_for(tmp_path):
    study = opened(tmp_path)
    assert [study.ask(2) is None for _ in range(3)] == [False, False, True]


def test_two_processes_never_get_the_same_trial(tmp_path):
    study = opened(tmp_path)
    study.close()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            code = 70
            try:
                mine, numbers = opened(tmp_path), []
                while (trial := mine.ask(9)) is not None:
                    trial.draw(SPACE)
                    trial.finish(0.5, 0.5, seconds=0.0)
                    numbers.append(trial.number)
                (tmp_path / f"{os.getpid()}.txt").write_text(" ".join(map(str, numbers)))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    numbers = [int(n) for child in children for n in (tmp_path / f"{child}.txt").read_text().split()]
    assert sorted(numbers) == list(range(9))


def test_the_trial_of_a_dead_worker_counts_as_failed(tmp_path):
    study = opened(tmp_path)
    study.ask(5)
    study.abandon(os.getpid(), "ResourceError: the worker ended with exit code -9")
    assert study.outcomes()[0].state == "failed"
    assert "exit code -9" in study.outcomes()[0].reason


def test_hyperband_ends_the_worse_of_three_at_the_first_rung(tmp_path):
    # One bracket of 1 and 3 epochs; of three trials at a rung one goes on: asynchronous halving, Li et al., MLSys 2020.
    study = opened(tmp_path, epochs=2)
    ends = []
    for result in (0.5, 0.9, 0.8, 0.95):
        trial = study.ask(4)
        trial.draw(SPACE)
        ends.append(trial.report("epoch 1", result))
        trial.finish(result, 0.0, seconds=0.0)
    assert ends == [False, False, True, False]


def test_a_spared_trial_is_never_ended(tmp_path):
    study = opened(tmp_path, epochs=2)
    for result in (0.9, 0.8, 0.1):
        trial = study.ask(3)
        trial.draw(SPACE)
        trial.spared = True
        assert not trial.report("epoch 1", result)
        trial.finish(result, 0.0, seconds=0.0)


def test_trials_compete_with_the_spared_ones(tmp_path):
    # Optuna notes what a trial has at a rung only when it is asked whether to prune it.
    study = opened(tmp_path, epochs=2)
    ends = []
    for number, result in enumerate((0.95, 0.95, 0.95, 0.5, 0.5, 0.96)):
        trial = study.ask(6)
        trial.draw(SPACE)
        trial.spared = number < 3
        ends.append(trial.report("epoch 1", result))
        trial.finish(result, 0.0, seconds=0.0)
    assert ends == [False, False, False, True, True, False]


@pytest.mark.parametrize("maximise", [True, False])
def test_trials_are_compared_by_their_best_epoch_so_far(tmp_path, maximise):
    study = opened(tmp_path, maximise=maximise)
    trial = study.ask(1)
    trial.draw(SPACE)
    trial.spared = True
    for epoch, result in enumerate((0.6, 0.7, 0.5)):
        trial.report(f"epoch {epoch}", result)
    trial.prune(seconds=0.0)
    assert study.outcomes()[0].value == (0.7 if maximise else 0.5)


def test_an_epoch_that_is_told_twice_counts_once(tmp_path):
    study = opened(tmp_path)
    trial = study.ask(1)
    trial.draw(SPACE)
    for epoch in (1, 2, 2):
        trial.report(f"epoch {epoch}", 0.5)
    trial.finish(0.5, 0.5, seconds=0.0)
    assert study.outcomes()[0].epochs == 2


@pytest.mark.parametrize("again", [(), ("b 1",), ("a 1", "a 2", "b 1")])
def test_epochs_that_nobody_tells_again_after_a_kill_count_all_the_same(tmp_path, again):
    study = opened(tmp_path)
    values = {"a 1": 0.2, "a 2": 0.6, "b 1": 0.4}
    trial = study.ask(1)
    trial.draw(SPACE)
    for epoch, result in values.items():
        trial.report(epoch, result)
    study.close()
    take_back(tmp_path / "study.db", maximise=True)
    study = opened(tmp_path)
    trial = study.ask(1)
    trial.draw(SPACE)
    for epoch in again:
        trial.report(epoch, values[epoch])
    trial.finish(0.6, 0.5, seconds=0.0)
    stored = study._study.trials[0].intermediate_values
    assert stored == {1: 0.2, 2: 0.6, 3: 0.6}


def test_importance_finds_the_setting_that_matters(tmp_path):
    space = own_space([Finetune()], {name: {"low": 0.0, "high": 0.5} for name in ("dropout", "drop_path")},
                      where="space")
    study = opened(tmp_path, space=space)
    assert study.importances() is None
    for _ in range(25):
        trial = study.ask(25)
        trial.finish(1 - trial.draw(space)["dropout"], 0.0, seconds=0.0)
    found = study.importances()
    assert list(found) == ["dropout", "drop_path"]
    assert found["dropout"] > 0.7
    assert sum(found.values()) == pytest.approx(1)


def test_equal_results_have_no_importances(tmp_path):
    study = opened(tmp_path)
    for _ in range(13):
        trial = study.ask(13)
        trial.draw(SPACE)
        trial.finish(1.0, 0.0, seconds=0.0)
    assert study.importances() is None


def test_equal_values_are_decided_by_loss_then_by_which_came_first():
    def of(number: int, value: float, loss: float) -> Outcome:
        return Outcome(number, "finished", value=value, loss=loss)

    assert best_of([of(0, 0.9, 0.30), of(1, 0.9, 0.20), of(2, 0.8, 0.1)], maximise=True).number == 1
    assert best_of([of(0, 0.9, 0.2004), of(1, 0.9, 0.2001)], maximise=True).number == 0
    assert best_of([of(0, 0.9, 0.2), of(1, 0.8, 0.3)], maximise=False).number == 1
    assert best_of([Outcome(0, "pruned", value=1.0), Outcome(1, "failed")], maximise=True) is None


def test_the_file_may_lie_at_any_path(tmp_path):
    folder = tmp_path / "a {b} %20 ?c#d"
    assert len(opened(folder).outcomes()) == 3
    assert (folder / "study.db").is_file()


def test_a_damaged_file_is_an_integrity_error(tmp_path):
    opened(tmp_path).close()
    (tmp_path / "study.db").write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=r"study.db: the file with the trials is missing or damaged"):
        opened(tmp_path)


def test_a_study_that_can_not_be_written_is_a_resource_error(tmp_path):
    import sqlite3

    study = opened(tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("DROP TABLE trials")
    with pytest.raises(ResourceError, match=r"study.db: the trials can't be written or read"):
        study.ask(5)


def test_the_optional_package_is_named_where_it_is_missing(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ResourceError, match=r"needs the package optuna: pip install 'headstart\[tune\]'"):
        begin(tmp_path / "study.db", SPACE, maximise=True)


def test_the_table_has_a_row_per_trial_and_exact_numbers(tmp_path):
    outcomes = [Outcome(0, "finished", {"method": "probe"}, 0.1 + 0.2, 0.5, 0, 1.5),
                Outcome(1, "failed", {"method": "finetune", "lr_head": 1e-3, "mix": None}, reason="it, \"diverged\"")]
    write_trials(tmp_path / "trials.csv", outcomes)
    assert (tmp_path / "trials.csv").read_text() == (
        "number,state,value,log_loss,method,lr_head,mix,epochs,seconds,reason\n"
        "0,finished,0.30000000000000004,0.5,probe,,,0,1.50,\n"
        '1,failed,,,finetune,0.001,,0,,"it, ""diverged"""\n')


def test_a_trial_is_told_in_one_line():
    best = Outcome(0, "finished", {"method": "probe"}, 0.9, 0.5)
    worse = Outcome(1, "finished", {"method": "finetune", "lr_head": 0.0012345}, 0.8, 0.5)
    assert said(best, "accuracy", best) == "trial 0: accuracy 0.9000 (best so far)  probe"
    assert said(worse, "accuracy", best) == ("trial 1: accuracy 0.8000 (best so far 0.9000)  "
                                             "finetune lr_head=0.00123")
    assert said(Outcome(2, "pruned", {"method": "finetune"}, 0.7, epochs=3), "accuracy", best) == (
        "trial 2: pruned after 3 epochs at accuracy 0.7000  finetune")
    assert said(Outcome(3, "failed", {"method": "finetune"}, reason="NaN"), "accuracy", best) == (
        "trial 3: failed  finetune  [NaN]")
