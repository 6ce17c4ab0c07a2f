"""tune(base, space, directory): from data to the best settings, and to one proven run with them, on one screen."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.adaptation import WORK
from headstart.data.dataset import Dataset
from headstart.data.fingerprint import fingerprint
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError, Interrupted
from headstart.events import Finished, Listen, Note, Started, silent
from headstart.files import exclusive, refuse_foreign, write_json, write_text
from headstart.job import Job, countdown
from headstart.metrics.registry import METRICS
from headstart.model import Model
from headstart.opening import open_job
from headstart.run import resume, run
from headstart.runs import load_run, read_json
from headstart.tuning.candidates import job_with, metric_of
from headstart.tuning.parallel import search_together
from headstart.tuning.result import BEST, RECORD, RUN, STUDY, Tuned, write_tables
from headstart.tuning.search import STEP, Search, failure, search
from headstart.tuning.space import Space
from headstart.tuning.study import Study, begin, take_back

SCHEMA = 1
FREE = ("limit_time", "tracking")
"""Settings of the job that may change when a search goes on: they decide no trial."""


def tune(base: Job, space: Space, directory: Path, *, trials: int = 30, workers: int = 1,
         dataset: Dataset | None = None, listen: Listen = silent) -> Tuned:
    """Search `space` from `base`, then train the winner as a run of its own and prove it; all in `directory`.

    The same call on the same directory goes on with an unfinished search. `base.limit_time` is the time of the search
    in this call; the final run is done whatever it takes. dataset: the data already read, where the caller has them.
    Raises HeadstartError.
    """
    if trials < 1 or workers < 1:
        raise ConfigError(f"trials={trials}, workers={workers}: at least one trial and one worker are needed.")
    if not (directory / RECORD).exists():
        refuse_foreign(directory, ours=(STUDY, WORK))
    with exclusive(directory), _stoppable(directory):
        _require_same(directory, base, space)
        if not (directory / BEST).exists():
            _find_best(base, space, directory, trials=trials, workers=workers, dataset=dataset, listen=listen)
        _prove(directory, dataset, listen)
    return Tuned(directory)


def _find_best(base: Job, space: Space, directory: Path, *, trials: int, workers: int, dataset: Dataset | None,
               listen: Listen) -> None:
    remaining = countdown(base.limit_time)
    base = base.model_copy(update={"limit_time": None})
    # Nothing is written before all inputs are known to be sound: a mistake leaves no search behind.
    candidates = [method for name in space.searched for method in job_with(base, space.start(name)).method]
    opened = open_job(base, dataset, listen, methods=candidates)
    start, splits = opened.model, opened.splits
    if opened.parts:  # the search judges by one validation split, the winner alone goes through the folds
        splits = split(opened.dataset, seed=base.seed, val=base.val, test=base.test)
    metric = metric_of(base, space, start.task)
    _open(directory, base, opened.job, space, metric, fingerprint(opened.dataset), listen)
    blind = replace(splits, test=splits.test.subset([]), held_back=len(splits.test))
    plan = Search(directory, _resolved(directory), space, blind, metric, trials)
    study = plan.study()
    try:
        _carry_out(plan, study, start, workers=workers, listen=listen, remaining=remaining)
    finally:
        study.close()
        write_tables(Tuned(directory))  # also of a search that is interrupted


def _carry_out(plan: Search, study: Study, start: Model, *, workers: int, listen: Listen, remaining: Any) -> None:
    listen(Started(STEP, plan.limit, "trials"))
    listen(Note(f"tune: up to {plan.limit} trials of {', '.join(plan.space.searched)}, judged by {plan.metric} on "
                f"{len(plan.splits.val)} validation images"
                + (f"; {workers} at a time, so that another search may draw other settings" if workers > 1 else "")))
    if not plan.space.open:
        plan = replace(plan, limit=min(plan.limit, len(plan.space.settled)))
    if workers > 1:
        search_together(plan, study, workers=workers, listen=listen, remaining=remaining)
    else:
        search(plan, study, start, listen=listen, remaining=remaining)
    best, outcomes = study.best(), study.outcomes()
    if best is None:
        raise failure(outcomes)
    seconds = sum(outcome.seconds or 0.0 for outcome in outcomes)
    listen(Finished(STEP, seconds, f"best trial {best.number}: {plan.metric} {best.value:.4f} on validation, {best}"))
    # From here on the search is closed: its test images will be read.
    write_text(plan.directory / BEST, job_with(plan.base, best.settings).to_yaml())


def _prove(directory: Path, dataset: Dataset | None, listen: Listen) -> None:
    """Train the winner once more, as any run, and read test once. A run that was interrupted goes on.

    Raises DataError where the data are no longer those of the search: their test split could hold images it has used.
    """
    folder, tuned = directory / RUN, Tuned(directory)
    data = tuned.record["fingerprint"]
    if (folder / "run.json").exists():
        if load_run(folder).status == "finished":
            listen(Note(f"{directory} is finished: its test images have been read, and no trial can be added. Start "
                        "another search with another --out."))
        else:
            resume(folder, dataset=dataset, expected=data, listen=listen)
    else:
        run(tuned.best, folder, dataset=dataset, expected=data, listen=listen)
    write_tables(tuned)
    shutil.rmtree(directory / WORK, ignore_errors=True)


def _open(directory: Path, asked: Job, resolved: Job, space: Space, metric: str, data: str, listen: Listen) -> None:
    """Begin the search, or go on with the one that is there. Raises DataError where the data are others."""
    higher = METRICS[metric].higher_is_better
    if not (directory / RECORD).exists():
        shutil.rmtree(directory / WORK, ignore_errors=True)
        begin(directory / STUDY, space, maximise=higher)
        write_json(directory / RECORD, {
            "schema": SCHEMA, "asked": _asked(asked), "space": space.record(), "metric": metric,
            "higher_is_better": higher, "fingerprint": data, "job": resolved.model_dump(mode="json")})
        return
    if read_json(directory / RECORD)["fingerprint"] != data:
        raise DataError(f"{asked.data}: the data have changed since the search in {directory} began, so that its "
                        "trials can't be compared. Restore them, or start anew with another --out.")
    dead = take_back(directory / STUDY, maximise=higher)
    listen(Note(f"going on with the search in {directory}" + (f"; {dead} unfinished trials begin again, from their "
                                                              "checkpoints" if dead else "")))


def _require_same(directory: Path, base: Job, space: Space) -> None:
    """Raise ConfigError where `directory` holds another search than the one that is asked for."""
    if not (directory / RECORD).exists():
        return
    before = read_json(directory / RECORD)
    was = dict(_leaves({"job": before["asked"], "space": before["space"]}))
    now = dict(_leaves({"job": _asked(base), "space": space.record()}))
    changed = [f"{name} was {was.get(name)!r}, is {now.get(name)!r}" for name in {**was, **now}
               if was.get(name) != now.get(name)]
    if changed:
        raise ConfigError(f"{directory}: the search that is here has other settings: {'; '.join(changed[:5])}"
                          + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")
                          + ". Give those of then to go on (trials, time and workers may change), or another --out.")


def _asked(job: Job) -> dict[str, Any]:
    return {name: value for name, value in job.model_dump(mode="json").items() if name not in FREE}


def _resolved(directory: Path) -> Job:
    """Return the job with what was inferred when the search began, such as the backbone of `auto`."""
    return Job.parse(read_json(directory / RECORD)["job"], where=str(directory / RECORD))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) for each plain value inside; lists of mappings by number, other lists whole."""
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        value = {str(number): item for number, item in enumerate(value)}
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


@contextlib.contextmanager
def _stoppable(directory: Path) -> Iterator[None]:
    """Say how to go on where a signal stops the search."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        raise Interrupted(f"tune: stopped by {signal.Signals(number).name}; all work so far is saved. To go on, give "
                          f"the same command with --out {directory}.", signal_number=number) from error
