"""A whole search on tiny data: killed and resumed, held to its word, and what it leaves behind."""

import functools
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from headstart.cli import application
from headstart.errors import ConfigError, DataError, DivergedError, ResourceError
from headstart.events import EpochEnded, Event, Finished, Note, Progress, silent
from headstart.job import build_job
from headstart.run import run
from headstart.runs import load_run
from headstart.tuning import search as searching
from headstart.tuning.result import Tuned
from headstart.tuning.study import Trial
from headstart.tuning.tune import tune
from tests.training.killing import ended, in_child, is_over, typed
from tests.tuning.small import request

TRIALS = 6


def searched(home: Path, out: Path, *, trials: int = TRIALS, listen: Callable[[Event], None] = silent, workers: int = 1,
             before: Callable[[], object] = lambda: None, space: Path | None = None, **changes: object) -> int:
    """Search in a child; return its exit code."""
    def work() -> None:
        before()
        base, found = request(home, space=space, **changes)
        tune(base, found, out, trials=trials, workers=workers, listen=listen)

    return in_child(work)


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "trials.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    request(folder)
    return folder


@pytest.fixture(scope="module")
def unbroken(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tunes") / "unbroken"
    assert searched(home, out) == 0
    return out


# What a search leaves behind


def test_the_winner_is_no_worse_than_the_defaults(unbroken):
    rows = table(unbroken)
    assert list(rows["method"][:2]) == ["probe", "finetune"]
    assert Tuned(unbroken).winner.value == rows[rows["state"] == "finished"]["value"].max()


def test_the_final_run_has_the_validation_metric_of_the_winning_trial(unbroken):
    tuned = Tuned(unbroken)
    assert tuned.run.status == "finished"
    assert tuned.run.splits["val"]["accuracy"].value == tuned.winner.value
    assert tuned.run.splits["val"]["log_loss"].value == pytest.approx(tuned.winner.loss, abs=1e-12)


def test_best_yaml_makes_the_same_model_again(unbroken, tmp_path):
    job = build_job({}, config=unbroken / "best.yaml")
    assert in_child(lambda: run(job, tmp_path / "run")) == 0
    again, first = (load_file(folder / "model.safetensors") for folder in (tmp_path / "run", unbroken / "run"))
    assert all(again[name].equal(tensor) for name, tensor in first.items())
    assert load_run(tmp_path / "run").splits == Tuned(unbroken).run.splits


def test_the_search_folder_holds_what_is_promised_and_no_more(unbroken):
    assert sorted(path.name for path in unbroken.iterdir()) == [
        ".lock", "best.yaml", "importance.json", "run", "study.db", "study.lock", "trials.csv", "tune.html",
        "tune.json"]
    told = json.loads((unbroken / "importance.json").read_text())
    finished = (table(unbroken)["state"] == "finished").sum()
    assert told == {"metric": "accuracy", "importance": None,
                    "why_not": f"{finished} trials finished, and 10 with settings to weigh are needed"}


def test_the_page_shows_every_trial_and_needs_nothing_else(unbroken):
    page = (unbroken / "tune.html").read_text()
    assert len(re.findall(r'<th scope="row" class="number">\d+</th>', page)) == TRIALS
    assert page.count("<circle") >= TRIALS
    assert "were read once" in page
    assert not re.findall(r'(?:src|href)="(?!run/report\.html)', page)


def test_no_trial_has_a_test_image(home, tmp_path, monkeypatch):
    seen = []
    real = searching.adapt_all

    def spy(job, model, splits, **names):
        seen.append(len(splits.test))
        return real(job, model, splits, **names)

    def watched() -> None:
        monkeypatch.setattr(searching, "adapt_all", spy)
        base, space = request(home)
        tune(base, space, tmp_path / "t", trials=3)
        assert len(seen) >= 3  # the trials, and the probes that they start from
        assert set(seen) == {0}

    assert in_child(watched) == 0


# Killed and resumed


def kill_at(count: int, what: Callable[[Event], bool]) -> Callable[[Event], None]:
    """Return a listener that kills this process at the event number `count` of those that `what` picks."""
    def listen(event: Event) -> None:
        nonlocal count
        count -= what(event)
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return listen


def is_step(event: Event) -> bool:
    return isinstance(event, Progress) and "finetune loss" in event.detail


def is_end(event: Event) -> bool:
    return isinstance(event, Note) and event.text.startswith("trial ")


def is_final(event: Event) -> bool:
    return isinstance(event, EpochEnded)


def die_in(name: str, number: int, *, after: bool) -> Callable[[], None]:
    """Return a preparation: this process dies before or after call `number` of this method of a trial."""
    def prepare() -> None:
        real, calls = getattr(Trial, name), iter(range(number))

        @functools.wraps(real)
        def method(self, *words, **names):
            due = next(calls, None) is None
            if due and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(self, *words, **names)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(Trial, name, method)

    return prepare


@pytest.mark.parametrize("killed", [
    {"listen": kill_at(14, is_step)}, {"listen": kill_at(3, is_end)}, {"before": die_in("_suggest", 11, after=True)},
    {"before": die_in("report", 7, after=True)}, {"before": die_in("_end", 4, after=False)},
], ids=["in a step", "between trials", "while drawing", "after the pruner spoke", "before the end is written"])
def test_a_search_killed_at_any_moment_goes_on_to_the_same_end(unbroken, home, tmp_path, killed):
    out = tmp_path / "t"
    assert searched(home, out, **killed) == -signal.SIGKILL
    assert not (out / "best.yaml").exists()
    assert searched(home, out) == 0
    pd.testing.assert_frame_equal(table(out), table(unbroken))
    assert (out / "best.yaml").read_text() == (unbroken / "best.yaml").read_text()
    found, expected = (load_file(folder / "run" / "model.safetensors") for folder in (out, unbroken))
    assert all(found[name].equal(tensor) for name, tensor in expected.items())


def test_a_trial_goes_on_from_its_checkpoint(home, tmp_path):
    out, file = tmp_path / "t", tmp_path / "steps.txt"
    assert searched(home, out, listen=kill_at(10, is_step)) == -signal.SIGKILL

    def listen(event: Event) -> None:
        if is_step(event):
            with file.open("a") as lines:
                lines.write(event.detail + "\n")

    assert searched(home, out, trials=2, listen=listen) == 0
    # Killed in the third of three epochs, of 4 steps each: the first two are in the checkpoint.
    assert len([line for line in file.read_text().splitlines() if line.startswith("trial 1:")]) == 4


def test_a_search_killed_in_its_final_run_resumes_that_run(home, tmp_path):
    out = tmp_path / "t"
    method = [{"method": "finetune", "epochs": 2, "batch_size": 8, "scope": "all", "unfreeze": "none"}]
    space = tmp_path / "space.yaml"
    space.write_text("method: [finetune]\nlr_head: [0.001]\n")
    assert searched(home, out, trials=1, listen=kill_at(1, is_final), method=method, space=space) == -signal.SIGKILL
    assert load_run(out / "run").status == "interrupted"  # it could not say so itself
    best = (out / "best.yaml").read_bytes()
    assert searched(home, out, trials=1, method=method, space=space) == 0
    assert load_run(out / "run").status == "finished"
    assert (out / "best.yaml").read_bytes() == best


def test_a_finished_search_is_left_as_it_is(unbroken, home):
    before = {path: path.read_bytes() for path in unbroken.rglob("*") if path.is_file() and path.name != ".lock"}
    notes: list[str] = []
    base, space = request(home)
    tune(base, space, unbroken, trials=50, listen=lambda event: notes.append(getattr(event, "text", "")))
    assert "is finished: its test images have been read, and no trial can be added" in " ".join(notes)
    assert {path: path.read_bytes() for path in before} == before


# Asked for what does not fit


@pytest.mark.parametrize(("changes", "message"), [
    ({"seed": 1}, r"job.seed was 0, is 1"),
    ({"image_size": 48}, r"job.image_size was 32, is 48"),
    ({"method": [{"method": "probe"}, {"method": "finetune", "epochs": 4, "batch_size": 8}]},
     r"job.method.1.epochs was 3, is 4\. Give those of then to go on"),
    ({"method": [{"method": "probe"}, {"method": "finetune", "epochs": 3, "batch_size": 8, "augment": "none"}]},
     r"space.finetune.augment was .*, is None"),
])
def test_other_settings_are_refused_by_name(unbroken, home, changes, message):
    base, space = request(home, **changes)
    with pytest.raises(ConfigError, match=message):
        tune(base, space, unbroken)


def test_other_data_are_refused(home, tmp_path):
    own = tmp_path / "home"
    shutil.copytree(home, own)
    assert searched(own, tmp_path / "t", listen=kill_at(1, is_end)) == -signal.SIGKILL
    (own / "data" / "left" / "000.png").unlink()
    base, space = request(own)
    with pytest.raises(DataError, match="the data have changed since the search in"):
        tune(base, space, tmp_path / "t")


def test_other_data_are_refused_in_the_final_run_too(home, tmp_path):
    own, out = tmp_path / "home", tmp_path / "t"
    shutil.copytree(home, own)

    def kill_before_the_final_run() -> None:
        sys.modules["headstart.tuning.tune"]._prove = lambda *words: os.kill(os.getpid(), signal.SIGKILL)

    assert searched(own, out, method="probe", before=kill_before_the_final_run) == -signal.SIGKILL
    assert (out / "best.yaml").exists()
    (own / "data" / "left" / "000.png").unlink()
    base, space = request(own, method="probe")
    with pytest.raises(DataError, match=r"the data have changed since the settings of this run were chosen.*--out"):
        tune(base, space, out)
    assert not (out / "run" / "run.json").exists()


def test_data_that_change_before_the_search_ends_are_refused(home, tmp_path):
    own, out = tmp_path / "home", tmp_path / "t"
    shutil.copytree(home, own)

    def listen(event: Event) -> None:
        if isinstance(event, Finished) and event.step == "tune":
            (own / "data" / "left" / "000.png").unlink()

    assert searched(own, out, method="probe", listen=listen) == DataError.exit_code
    assert (out / "best.yaml").exists()
    assert not (out / "run" / "run.json").exists()


@pytest.mark.parametrize(("trials", "workers"), [(0, 1), (5, 0)])
def test_at_least_one_trial_and_one_worker(home, tmp_path, trials, workers):
    base, space = request(home)
    with pytest.raises(ConfigError, match="at least one trial and one worker"):
        tune(base, space, tmp_path / "t", trials=trials, workers=workers)
    assert not (tmp_path / "t").exists()


def test_a_mistake_leaves_no_search_behind(home, tmp_path):
    base, space = request(home, backbone="timm/test_resnt")
    with pytest.raises(ConfigError, match="Did you mean"):
        tune(base, space, tmp_path / "t")
    assert not (tmp_path / "t").exists()


# What may go wrong in a trial


def failing(*numbers: int, error: Exception) -> Callable[[], None]:
    """Return a preparation: these trials end with `error`."""
    def prepare() -> None:
        real = searching.fit

        def fit(plan, job, starts, folder, listen):
            if int(folder.name[-4:]) in numbers:
                raise error
            return real(plan, job, starts, folder, listen)

        searching.fit = fit

    return prepare


@pytest.mark.parametrize("error", [DivergedError("the loss is NaN"), ResourceError("no memory"), MemoryError(),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory")],
                         ids=lambda error: type(error).__name__)
def test_a_trial_that_fails_is_noted_and_the_search_goes_on(home, tmp_path, error):
    assert searched(home, tmp_path / "t", trials=3, before=failing(1, error=error)) == 0
    rows = table(tmp_path / "t")
    assert list(rows["state"] == "failed") == [False, True, False]
    assert rows["reason"][1].startswith(("DivergedError", "ResourceError"))
    assert rows["value"].isna()[1]
    assert "failed" in (tmp_path / "t" / "tune.html").read_text()


def test_a_search_of_which_all_trials_fail_is_an_error(home, tmp_path):
    out = tmp_path / "t"
    before = failing(0, 1, error=DivergedError("the loss is NaN"))
    assert searched(home, out, trials=2, before=before) == DivergedError.exit_code
    base, space = request(home)
    with pytest.raises(DivergedError,
                       match=r"none of 2 trials finished.*\n  trial 0 \(probe\): DivergedError: the loss"):
        tune(base, space, out, trials=2)


def test_a_wrong_setting_ends_the_search(home, tmp_path):
    assert searched(home, tmp_path / "t", before=failing(1, error=ConfigError("no"))) == ConfigError.exit_code


def test_drawn_settings_that_do_not_go_together_are_a_failed_trial(home, tmp_path):
    assert searched(home, tmp_path / "t", trials=4, before=failing(2, error=ConfigError("no such stage"))) == 0
    assert table(tmp_path / "t")["reason"][2] == "ConfigError: no such stage"


def test_a_trial_that_others_left_behind_ends_early(home, tmp_path):
    space = tmp_path / "space.yaml"
    # A rate at which nothing is learnt, and one that destroys what there is.
    space.write_text("method: [finetune]\nlr_backbone: [1.0e-4, 3.0]\nlr_head: [3.0e-4, 3.0]\nscope: [all]\n")
    method = [{"method": "finetune", "epochs": 3, "batch_size": 8}]
    assert searched(home, tmp_path / "t", trials=8, space=space, method=method) == 0
    rows = table(tmp_path / "t")
    pruned = rows[rows["state"] == "pruned"]
    assert len(pruned)
    assert (pruned["epochs"] < 3).all()
    assert "pruned" not in set(rows["state"][:1])


def test_equal_settings_are_trained_once(home, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("method: [finetune]\nlabel_smoothing: [0.0, 0.1]\n")
    method = [{"method": "finetune", "epochs": 1, "batch_size": 8}]
    assert searched(home, tmp_path / "t", trials=5, space=space, method=method) == 0
    rows = table(tmp_path / "t")
    firsts = rows.drop_duplicates("label_smoothing")
    assert len(rows) == 5
    assert rows["reason"].str.startswith("same settings as trial").sum() == 5 - len(firsts)
    assert rows.groupby("label_smoothing")["value"].nunique().max() == 1


def test_an_own_space_is_searched_and_nothing_else(home, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("method: [finetune]\nscope: [last-1, last-2]\nlr_head: {low: 1.0e-3, high: 1.0e-2, log: true}\n")
    assert searched(home, tmp_path / "t", trials=3, space=space) == 0
    rows = table(tmp_path / "t")
    assert list(rows.columns) == ["number", "state", "value", "log_loss", "method", "scope", "lr_head", "epochs",
                                  "reason"]
    assert set(rows["scope"]) <= {"last-1", "last-2"}
    assert rows["lr_head"].between(1e-3, 1e-2).all()


def test_methods_without_settings_are_tried_once_each(home, tmp_path):
    assert searched(home, tmp_path / "t", method="probe") == 0
    assert list(table(tmp_path / "t")["method"]) == ["probe"]


# Budgets


def test_with_folds_the_search_judges_by_one_split_and_the_winner_goes_through_all(home, tmp_path):
    heard = tmp_path / "heard"
    assert searched(home, tmp_path / "out", trials=2, folds=2,
                    listen=lambda e: isinstance(e, Note) and heard.open("a").write(e.text + "\n")) == 0
    tuned = Tuned(tmp_path / "out")
    rows = tuned.run.predictions
    assert set(rows["split"]) == {"val", "test"}
    judged = re.search(r"judged by accuracy on (\d+) validation images", heard.read_text())
    assert judged
    assert int(judged[1]) < (rows["split"] == "val").sum()
    assert tuned.run.job.folds == 2


def test_time_that_is_up_ends_the_search_and_the_winner_is_trained_all_the_same(home, tmp_path):
    notes = tmp_path / "notes.txt"

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            with notes.open("a") as file:
                file.write(event.text + "\n")

    assert searched(home, tmp_path / "t", trials=50, limit_time=1e-3, listen=listen) == 0
    # However little time there is, one trial is finished.
    assert list(table(tmp_path / "t")["state"].iloc[:1]) == ["finished"]
    assert len(table(tmp_path / "t")[lambda rows: rows["state"] == "finished"]) == 1
    assert Tuned(tmp_path / "t").run.status == "finished"
    assert Tuned(tmp_path / "t").best.limit_time is None


def test_time_that_is_up_stops_the_trial_that_is_going_on(home, tmp_path, monkeypatch):
    def clock() -> None:
        left = iter([9.0] * 30)
        searching_tune = sys.modules["headstart.tuning.tune"]
        monkeypatch.setattr(searching_tune, "countdown", lambda limit: lambda: next(left, 0.0))

    assert searched(home, tmp_path / "t", trials=50, before=clock) == 0
    rows = table(tmp_path / "t")
    assert list(rows["state"][-1:]) == ["stopped"]
    assert list(rows["reason"][-1:]) == ["the time was up"]
    assert Tuned(tmp_path / "t").winner.state == "finished"


# Several workers


def test_workers_share_one_study(home, tmp_path):
    assert searched(home, tmp_path / "t", trials=5, workers=2) == 0
    rows = table(tmp_path / "t")
    assert list(rows["number"]) == list(range(5))
    assert set(rows["state"]) <= {"finished", "pruned"}
    assert Tuned(tmp_path / "t").run.status == "finished"


def test_an_error_in_a_worker_ends_the_search_with_its_message(home, tmp_path):
    own = tmp_path / "home"
    shutil.copytree(home, own)
    base, space = request(own)

    def gone(event: Event) -> None:
        if isinstance(event, Note) and event.text.startswith("tune: up to"):
            (own / "weights.safetensors").unlink()

    with pytest.raises(ConfigError, match=r"weights.safetensors"):
        tune(base, space, tmp_path / "t", trials=4, workers=2, listen=gone)


# As a user types it


def words(home: Path, out: Path, *more: object) -> list[str]:
    config = home / "job.yaml"
    base, _ = request(home)
    config.write_text(base.to_yaml())
    return ["tune", "--config", str(config), "--out", str(out), "--trials", str(TRIALS), *map(str, more)]


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_search_stopped_by_a_signal_says_how_to_go_on_and_does(unbroken, home, tmp_path, sign, code):
    out = tmp_path / "t"
    child = typed(words(home, out), tmp_path / "said.txt")
    # A trial's folder is gone when it ends: on a busy machine one of them may come and go between two looks.
    while not is_over(child) and not list(out.glob("work/trial-000[1-4]")):
        time.sleep(0.01)
    os.kill(child, sign)
    assert ended(child) == code
    said = (tmp_path / "said.txt").read_text()
    assert f"stopped by {sign.name}; all work so far is saved. To go on, give the same command with --out {out}" in said
    assert (out / "trials.csv").exists()
    assert "Traceback" not in said
    assert searched(home, out) == 0
    pd.testing.assert_frame_equal(table(out), table(unbroken))


def test_tune_prints_one_json_object(unbroken, home):
    answer = CliRunner().invoke(application(), words(home, unbroken, "--json"))
    assert answer.exit_code == 0, answer.stderr
    printed = json.loads(answer.stdout)
    winner = Tuned(unbroken).winner
    assert printed["best"] == {"trial": winner.number, "value": winner.value, "settings": winner.settings}
    assert sum(printed["trials"].values()) == TRIALS
    assert printed["run"]["metrics"] == json.loads((unbroken / "run" / "metrics.json").read_text())
