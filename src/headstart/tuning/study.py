"""Study: the trials of one search, in one SQLite file that survives a kill. The only door to Optuna."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import IntegrityError, ResourceError
from headstart.files import sync_folder
from headstart.seeds import derive
from headstart.tuning.outcome import Outcome, State, best_of
from headstart.tuning.space import METHOD, Choice, Dimension, Space

NAME = "tune"
"""Name of the study inside its file; the pruner's brackets depend on it."""
STARTUP = 5
"""So many trials of a bracket are drawn at random before the sampler has something to learn from."""
REDUCTION = 3
"""Of so many trials, one may go on at each rung of Hyperband."""
ENOUGH = 10
"""Finished trials without which importances would be guesses."""
TIMEOUT = 60.0
"""Seconds that a process waits for another one that is writing."""
STATES: Mapping[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running",
                               "WAITING": "waiting"}


class Study:
    """The trials of one search. Several processes may have the same file open.

    Draws depend on the seed, the number of the trial and the trials before it, never on a generator's position: a
    trial that is begun again draws the same.
    """

    def __init__(self, path: Path, *, seed: int, maximise: bool, epochs: int) -> None:
        if not path.is_file() or path.read_bytes()[:16] != b"SQLite format 3\0":
            raise IntegrityError(f"{path}: the file with the trials is missing or damaged. Restore it from a copy, or "
                                 "start a new search with another --out.")
        self.path, self.seed, self.maximise, self.epochs = path, seed, maximise, epochs
        self._optuna = _library()
        self._storage, self._study = _open(path, maximise=maximise)
        self._study.pruner = self._optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=epochs, reduction_factor=REDUCTION)

    def ask(self, limit: int) -> Trial | None:
        """Return the next trial, or None where `limit` trials have begun. Two processes never get the same one."""
        with _alone(self.path), _told(self.path):
            waiting = self._optuna.trial.TrialState.WAITING
            begun = sum(trial.state != waiting for trial in self._study.get_trials(deepcopy=False))
            if begun >= limit:
                return None
            asked = self._study.ask()
            asked.set_user_attr("process", os.getpid())
            return Trial(self, asked)

    def outcomes(self) -> list[Outcome]:
        """Return all trials, by number."""
        with _told(self.path):
            return [_outcome(trial) for trial in self._study.get_trials(deepcopy=False)]

    def best(self) -> Outcome | None:
        """Return the best finished trial, if any."""
        return best_of(self.outcomes(), maximise=self.maximise)

    def abandon(self, process: int, reason: str) -> None:
        """Count what the dead process was at as failed."""
        with _told(self.path):
            for trial in self._study.get_trials(deepcopy=False):
                if STATES[trial.state.name] == "running" and trial.user_attrs.get("process") == process:
                    self._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
                    self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def importances(self) -> dict[str, float] | None:
        """Return how much each setting decided whether a trial is among the best, in shares of 1, largest first.

        None where too few trials finished, or where all of them are equal.
        Source: Watanabe et al., "PED-ANOVA", IJCAI 2023; for settings that only some trials have, its conditional form.
        """
        with _told(self.path):
            trials = [trial for trial in self._study.get_trials(deepcopy=False)
                      if STATES[trial.state.name] == "finished" and trial.params]
        if len(trials) < ENOUGH or len({trial.value for trial in trials}) < 2:
            return None
        # A method with nothing to search has no settings to weigh, so that its trial stays out.
        compared = self._optuna.create_study(direction="maximize" if self.maximise else "minimize")
        compared.add_trials(trials)
        # The method sets the best few against all: a handful is the least that has a distribution.
        evaluator = self._optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, 5 / len(trials)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a setting has few trials shows in its share
            found = evaluator.evaluate(compared)
        total = sum(found.values())
        return {name: share / total for name, share in found.items()} if total > 0 else None

    def close(self) -> None:
        """Let go of the file."""
        _close(self._storage)


class Trial:
    """One trial that is going on."""

    def __init__(self, study: Study, asked: Any) -> None:
        self.number: int = asked.number
        self.spared = False
        """Whether it is never ended early; others may be ended for being worse than it."""
        self.last = study.epochs
        """The epoch after which it is done anyway."""
        self._study, self._asked = study, asked
        self._heard: dict[str, float] = dict(asked.user_attrs.get("heard", []))
        self._reported: list[str] = []
        self._best: float | None = None

    def draw(self, space: Space) -> dict[str, Any]:
        """Return the settings of this trial: those it was given, else new ones."""
        with _told(self._study.path):
            settings = space.draw(self._suggest, method=self._asked.user_attrs.get(METHOD))
            self._asked.set_user_attr("settings", settings)
        return settings

    def report(self, epoch: str, value: float) -> bool:
        """Take the value of an epoch; return whether the trial should end, being worse than others so far.

        epoch: its name, unlike that of any other epoch of the trial; one that comes again is left out.
        What is compared is the best epoch so far, as it is the one that would be kept.
        """
        if epoch in self._reported:
            return False
        known = list(self._heard)
        with _told(self._study.path):
            self._catch_up(known[:known.index(epoch)] if epoch in known else known)
            self._heard[epoch] = value
            self._asked.set_user_attr("heard", list(self._heard.items()))
            return self._enter(epoch)

    def finish(self, value: float, loss: float, *, seconds: float, reason: str = "") -> None:
        """End the trial with its value."""
        with _told(self._study.path):
            self._catch_up(list(self._heard))
        self._end("COMPLETE", value=value, log_loss=loss, seconds=seconds, reason=reason)

    def _catch_up(self, epochs: Sequence[str]) -> None:
        """Report what a process that was killed had heard: a method that was done by then does not tell it again."""
        for epoch in epochs:
            if epoch not in self._reported:
                self._enter(epoch)

    def _enter(self, epoch: str) -> bool:
        self._reported.append(epoch)
        value, step = self._heard[epoch], len(self._reported)
        better = max if self._study.maximise else min
        self._best = value if self._best is None else better(self._best, value)
        self._asked.report(self._best, step)
        # The pruner takes note of a rung only when asked: without, the others would not compete with a spared trial.
        return step < min(self.last, self._study.epochs) and bool(self._asked.should_prune()) and not self.spared

    def prune(self, *, seconds: float, stopped: str = "") -> None:
        """End the trial early. stopped: why, where it is not because others were better."""
        self._end("PRUNED", seconds=seconds, reason=stopped)

    def fail(self, reason: str, *, seconds: float) -> None:
        """End the trial without a value."""
        self._end("FAIL", seconds=seconds, reason=reason)

    def _end(self, state: str, *, value: float | None = None, **told: Any) -> None:
        with _told(self._study.path):
            for name, item in {**told, "epochs": len(self._reported)}.items():
                self._asked.set_user_attr(name, item)
            self._study._study.tell(self._asked, value, state=self._study._optuna.trial.TrialState[state])

    def _suggest(self, name: str, dimension: Dimension) -> Any:
        # A sampler for each draw: what a trial drew before it was killed must not change what it draws now.
        self._study._study.sampler = self._study._optuna.samplers.TPESampler(
            seed=derive(self._study.seed, f"tune {name}", self.number) % 2**32, n_startup_trials=STARTUP,
            multivariate=False, constant_liar=True)
        if isinstance(dimension, Choice):
            codes = [_code(value) for value in dimension.values]
            return dimension.values[codes.index(self._asked.suggest_categorical(name, codes))]
        draw = self._asked.suggest_int if dimension.whole else self._asked.suggest_float
        return draw(name, dimension.low, dimension.high, log=dimension.log)


def begin(path: Path, space: Space, *, maximise: bool) -> None:
    """Write a new study, which first tries each method as it is without a search."""
    def fill(study: Any) -> None:
        for method in space.searched:
            given = {space.label(method, name): _code(value) for name, value in space.start(method).items()
                     if name != METHOD}
            if method in space.settled:
                _put(study, given, {METHOD: method})  # not drawn, because it has this one trial
            else:
                _put(study, {METHOD: method, **given} if len(space.open) > 1 else given, {})

    _rewrite(path, maximise, fill)


def take_back(path: Path, *, maximise: bool) -> int:
    """Put the trials that a dead process was at back to where they begin; return how many.

    They keep their number, what they drew and what they heard of their epochs, which is reported again.
    """
    storage, before = _open(path, maximise=maximise)
    trials = before.get_trials()
    _close(storage)
    dead = sum(trial.state.name == "RUNNING" for trial in trials)

    def copy(study: Any) -> None:
        for trial in trials:
            if trial.state.is_finished():
                study.add_trial(trial)
            else:
                given = {**trial.user_attrs.get("given", {}), **trial.params}
                kept = {name: trial.user_attrs[name] for name in (METHOD, "heard") if name in trial.user_attrs}
                _put(study, given, kept)
    if dead:
        _rewrite(path, maximise, copy)
    return dead


def _put(study: Any, given: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Enqueue a trial. given: coded values by setting. told: what else is known of it."""
    study.enqueue_trial(dict(given), user_attrs={**told, "given": dict(given)})


def _rewrite(path: Path, maximise: bool, fill: Callable[[Any], None]) -> None:
    """Write the file anew, at once and whole: a kill leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, fresh.with_name(f"{fresh.name}-journal")):
        leftover.unlink(missing_ok=True)
    with _told(path):
        storage, study = _open(fresh, maximise=maximise)
        fill(study)
        _close(storage)
    fresh.replace(path)
    sync_folder(path.parent)


def _open(path: Path, *, maximise: bool) -> tuple[Any, Any]:
    optuna = _library()
    # A path may hold what means something in a URL, or in a template.
    storage = optuna.storages.RDBStorage("sqlite:///study.db", engine_kwargs={
        "creator": lambda: sqlite3.connect(path, timeout=TIMEOUT, check_same_thread=False)})
    study = optuna.create_study(storage=storage, study_name=NAME, direction="maximize" if maximise else "minimize",
                                load_if_exists=True)
    return storage, study


def _close(storage: Any) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _outcome(trial: Any) -> Outcome:
    told = trial.user_attrs
    reason, epochs = told.get("reason", ""), told.get("epochs", len(trial.intermediate_values))
    state: State = "stopped" if trial.state.name == "PRUNED" and reason else STATES[trial.state.name]
    value = trial.value if trial.value is not None else next(reversed(trial.intermediate_values.values()), None)
    return Outcome(number=trial.number, state=state, settings=told.get("settings", {}),
                   value=None if state == "failed" else value, loss=told.get("log_loss"),
                   epochs=epochs, seconds=told.get("seconds"), reason=reason)


def _code(value: Any) -> Any:
    """Return the value as Optuna can store it: a list or a mapping as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the study for this process: to look whether there is room and to take it must be one step."""
    with path.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn a database that can't be written into an error for the user."""
    optuna = _library()
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise ResourceError(f"{path}: the trials can't be written or read ({error.__cause__ or error}). Look at the "
                            "disk, then give the same command again to go on.") from error


def _library() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ResourceError("headstart tune needs the package optuna: pip install 'headstart[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
