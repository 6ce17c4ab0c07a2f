"""run(job): from data to a proven model, on one screen; and resume, which does the same with what is there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from headstart.adaptation import WORK, adapt_all, save_model
from headstart.backbones.resolve import AUTO, find, load
from headstart.catalog import Catalog
from headstart.crossvalidation import cross_validate
from headstart.data.dataset import Dataset, Splits
from headstart.data.fingerprint import fingerprint
from headstart.data.folds import folds, pooled
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError, HeadstartError, Interrupted
from headstart.events import Listen, Note, RunFinished, RunStarted, silent
from headstart.files import exclusive, write_json
from headstart.gate import admit
from headstart.job import Job
from headstart.model import Model
from headstart.past_runs import find_past_run, refuse_leaks
from headstart.proof import prove
from headstart.receipts import environment, sample_table, seal
from headstart.record import Record, backbone_record, data_record, write_table
from headstart.report.page import write_report
from headstart.runs import Run, load_run
from headstart.tasks.task import Task
from headstart.training.imbalance import check_plan
from headstart.training.plan import Plan


def run(job: Job, directory: Path, *, dataset: Dataset | None = None, listen: Listen = silent) -> Run:
    """Do the job and write everything into `directory`, which must not hold a run yet.

    dataset: the data already read, where the caller has them; else `job.data` is read.
    Raises HeadstartError; what was done until then stays, and `resume` goes on with it.
    """
    if (directory / "run.json").exists():
        raise ConfigError(f"{directory}: there is a run here already. Go on with `headstart resume {directory}`, "
                          "or choose another --out.")
    return _carry_out(job, directory, dataset, listen, resumed=False)


def resume(directory: Path, *, dataset: Dataset | None = None, listen: Listen = silent) -> Run:
    """Go on with an unfinished run, to the result it would have had. A finished one is returned as it is."""
    found = load_run(directory)
    if found.status == "finished":
        listen(Note(f"{directory} is finished; there is nothing to resume."))
        return found
    return _carry_out(found.job, directory, dataset, listen, resumed=True)


def repeat(before: Run, directory: Path, *, listen: Listen = silent) -> Run:
    """Do the job of a finished run again, into `directory`."""
    if before.status != "finished":
        raise ConfigError(f"{before}: this run is {before.status}; only a finished run can be reproduced. "
                          f"Go on with `headstart resume {before}` first.")
    return run(before.job, directory, listen=listen)


def _carry_out(job: Job, directory: Path, dataset: Dataset | None, listen: Listen, *, resumed: bool) -> Run:
    remaining = countdown(job.limit_time)
    with exclusive(directory):
        torch.manual_seed(job.seed)
        record = Record(directory, listen)
        # Nothing is written before all inputs are known to be sound: a mistake leaves no run behind.
        if job.backbone != AUTO and not job.init_from:
            find(job.backbone)
        dataset, findings = admit(job, dataset, record.listen)
        splits, parts = _divide(job, dataset, record.listen)
        model, job = starting_model(job, dataset, record.listen)
        _refuse_unfit(job, model, splits, parts)
        with _recorded(record, job, resumed=resumed):
            _write_inputs(directory, job, model, dataset, splits, findings, resumed=resumed)
            if parts:
                proven = cross_validate(job, model, splits, parts, directory=directory, listen=record.listen,
                                        remaining=remaining)
            else:
                adapted = adapt_all(job, model, splits, work=directory / WORK, listen=record.listen,
                                    remaining=remaining)
                proven = prove(job, adapted, splits, directory=directory, listen=record.listen)
            final = proven[-1]
            save_model(final.adapted.model, directory)
            record.finish([item.adapted for item in proven], final.metrics)
            write_report(directory)
            shutil.rmtree(directory / WORK, ignore_errors=True)
            seal(directory)
    return Run(directory)


def _divide(job: Job, dataset: Dataset, listen: Listen) -> tuple[Splits, list[Splits]]:
    """Return the splits, and the folds where the job asks for some; then `train` holds the images of all folds."""
    splits = split(dataset, seed=job.seed, val=job.val, test=job.test)
    parts = folds(splits, job.folds, seed=job.seed) if job.folds else []
    if parts:
        splits = Splits(pooled(splits), splits.val.subset([]), splits.test, (*splits.notes, *parts[0].notes))
    for note in splits.notes:
        listen(Note(note))
    if parts and job.val != Job.model_fields["val"].default:
        listen(Note(f"val={job.val:g} has no effect on the folds: each validates on 1/{job.folds} of the images that "
                    "are not held out", "warning"))
    return splits, parts


def starting_model(job: Job, dataset: Dataset, listen: Listen) -> tuple[Model, Job]:
    """Return the model before any adapting, and the job with the backbone's name in place of `auto`."""
    refuse_unsupported(job, dataset.task)
    task = Catalog("tasks", Task).get(dataset.task)()  # type: ignore[type-abstract]
    if job.init_from:
        return start_from(load_run(job.init_from).model, dataset, task, listen), job
    backbone, note = load(job.backbone, channels=job.channels, size=job.image_size,
                          allow_licenses=job.allow_licenses)
    if note:
        listen(Note(note))
    preprocessing = backbone.spec.preprocessing
    if job.fit:
        preprocessing = preprocessing.model_copy(update={"fit": job.fit})
    fresh = Model.fresh(backbone, task, dataset.classes, preprocessing=preprocessing)
    return fresh, job.model_copy(update={"backbone": backbone.spec.architecture})


def refuse_unsupported(job: Job, task: str) -> None:
    """Raise ConfigError, before anything runs, where a method can't do the task or a setting has no effect on it."""
    from headstart.job import METHODS

    if job.thresholds != "half" and task != "multilabel":
        raise ConfigError(f"thresholds {job.thresholds}: an image of a {task} data set gets its most probable class, "
                          "so that this would have no effect. Leave it out.")
    for method in (*job.baselines, *job.method):
        if task not in method.tasks:
            able = [name for name, part in METHODS.all().items() if task in part.tasks]
            raise ConfigError(f"method {method.part_name} can't do {task}. Methods that can: {', '.join(able)}.")
        if isinstance(method, Plan):
            check_plan(method, task)


def _refuse_unfit(job: Job, model: Model, splits: Splits, parts: list[Splits]) -> None:
    """Raise HeadstartError where a method, or the run to start from, does not fit the job, or knows images of a val."""
    methods = (*job.baselines, *job.method)
    for method in methods:
        method.refuse_unfit(model, splits)
    try:
        for part in parts:
            for method in methods:
                method.refuse_unfit(model, part)
            if job.init_from:
                refuse_leaks([find_past_run(job.init_from, where="init_from")], part, where="init_from")
    except DataError as error:
        raise DataError(f"{error}\nBut with --folds every image outside the test split validates once, so that nothing "
                        "may have learned from any of them before: leave --folds out.") from None


def start_from(model: Model, dataset: Dataset, task: Task, listen: Listen) -> Model:
    """Return `model` with its head mapped to the data's classes by name; rows of new classes are zero."""
    fresh = Model.fresh(model.backbone, task, dataset.classes, preprocessing=model.preprocessing)
    known = [name for name in dataset.classes if name in model.classes]
    with torch.no_grad():
        for name in known:
            row, old = dataset.classes.index(name), model.classes.index(name)
            for mine, its in zip(fresh.head.parameters(), model.head.parameters(), strict=True):
                mine[row] = its[old]
    new = [name for name in dataset.classes if name not in model.classes]
    listen(Note(f"head: {len(known)} classes kept by name ({', '.join(known) or 'none'}), "
                f"{len(new)} new ({', '.join(new) or 'none'})"))
    return fresh


def _write_inputs(directory: Path, job: Job, model: Model, dataset: Dataset, splits: Splits,
                  findings: list[dict[str, object]], *, resumed: bool) -> None:
    """Write what the run starts from; a resumed run must start from the same."""
    data = data_record(dataset, splits, fingerprint(dataset), findings)
    if resumed and (directory / "data.json").exists():
        before = load_run(directory).data
        if before["fingerprint"] != data["fingerprint"]:
            raise DataError(f"{job.data}: the data have changed since {directory} began, so that the run can't go on "
                            "to the same result. Restore them, or start anew with `headstart adapt`.")
        return
    write_table(directory / "samples.parquet", sample_table(splits))
    write_json(directory / "backbone.json", backbone_record(model))
    write_json(directory / "environment.json", environment())
    write_json(directory / "data.json", data)


@contextmanager
def _recorded(record: Record, job: Job, *, resumed: bool) -> Iterator[None]:
    """Keep run.json and history.csv true whatever happens."""
    record.begin(job, resumed=resumed)
    record.listen(RunStarted(record.directory, job.model_dump(mode="json"), resumed))
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        record.end("interrupted")
        raise
    except HeadstartError:
        record.end("failed")
        raise
    record.end("finished")
    record.listen(RunFinished(record.directory, "finished", record.metrics))


def countdown(limit: float | None) -> Callable[[], float]:
    """Return a function that says how many of `limit` seconds are left; None never ends."""
    deadline = time.monotonic() + limit if limit else float("inf")
    return lambda: deadline - time.monotonic()
