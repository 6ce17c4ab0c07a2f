"""Opening: from a job to what a run starts with: data admitted and split, a model, and no mistake left to find late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.backbones.resolve import AUTO, require
from headstart.data.dataset import Dataset, Splits
from headstart.data.folds import folds, pooled
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError
from headstart.events import Listen, Note
from headstart.gate import admit
from headstart.job import METHODS, Job
from headstart.labelled import Labelled, open_labelled
from headstart.methods.method import Method
from headstart.model import Model
from headstart.past_runs import find_past_run, leaks, refuse_leaks
from headstart.runs import load_run
from headstart.selection.advised import Choice, follow, take_ranked
from headstart.selection.pool import pool_of, refuse_target
from headstart.selection.ranking import FOLDER
from headstart.starting import as_before, starting_model
from headstart.target import Target, open_target
from headstart.training.idle import idle
from headstart.training.plan import Plan
from headstart.training.train import refuse_impossible


@dataclass(frozen=True)
class Opened:
    """A job whose inputs are known to be sound."""

    job: Job
    """As it was given, with the backbone's name in place of `auto`."""
    dataset: Dataset
    findings: list[dict[str, Any]]
    """What the check of the data found."""
    splits: Splits
    """With folds, `train` holds the images of all of them and `val` is empty."""
    parts: list[Splits]
    """The folds; empty without."""
    model: Model
    """Before any adapting."""
    choice: Choice | None = None
    """What was left to `auto`, and why it was chosen so."""
    target: Target | None = None
    """The other domain that the job adapts to; `splits` has its images without labels."""
    labelled: Labelled | None = None
    """Images of that domain whose labels are learned from; `splits` has them, too."""

    @property
    def proof(self) -> Dataset | None:
        """The labelled images of the target, which prove the result and do nothing else."""
        return self.target.proof if self.target else None


def open_job(job: Job, dataset: Dataset | None, listen: Listen, *, methods: Sequence[Method] = ()) -> Opened:
    """Return what the job starts with; nothing is written.

    dataset: the data already read, or None; methods: more of them that must fit, besides the job's own.
    Raises HeadstartError.
    """
    before = load_run(job.init_from).model if job.init_from else None
    if before:
        job = as_before(job, before)
    elif job.backbone != AUTO:
        require(job.backbone)
    dataset, findings = admit(job, dataset, listen)
    if before and before.task.part_name != dataset.task:
        raise ConfigError(f"init_from: {job.init_from} is a run of {before.task.part_name}, and {job.data} is data for "
                          f"{dataset.task}, whose head is another one. Start from a run of {dataset.task}, or leave "
                          "init_from out.")
    job = _for_task(job, dataset)
    if methods:
        refuse_target(job, "a search for settings")
    if methods and dataset.whole:
        raise ConfigError(f"a search for settings can't judge {dataset.task} yet. Use `headstart adapt` with your own.")
    splits, parts = _divide(job, dataset, listen, searched=bool(methods))
    for part in (splits, *parts):
        _refuse_weightless(part)
    target = open_target(job, dataset, splits, listen)
    labelled = open_labelled(job, dataset, splits, target, listen)
    target = labelled.target if labelled else target
    if target:
        splits = replace(splits, target=target.images, labelled=labelled.images if labelled else None)
    job, choice = _chosen(job, dataset, findings, splits, listen)
    _refuse_unsupported(job, dataset.task, adapts=target is not None)
    model, job = starting_model(job, dataset, listen, before)
    opened = Opened(job, dataset, findings, splits, parts, model, choice, target, labelled)
    own = _methods(job)
    _refuse_unfit([*own, *(method for method in methods if method not in own)], opened, listen)
    return opened


def _chosen(job: Job, dataset: Dataset, findings: list[dict[str, Any]], splits: Splits,
            listen: Listen) -> tuple[Job, Choice | None]:
    """Return the job with what was left to evidence decided, and why: by an advice, or by a ranking that is there."""
    if job.advise and job.init_from:
        raise ConfigError("method auto chooses backbone and method; init_from names a run to start from. Name a "
                          "method, or leave init_from out.")
    if job.advise:
        return follow(job, pool_of(job, dataset, findings, splits), listen)
    if job.backbone == AUTO and not job.init_from and not dataset.whole and Path(FOLDER).is_dir():
        return take_ranked(job, pool_of(job, dataset, findings, splits), listen)
    return job, None


def _divide(job: Job, dataset: Dataset, listen: Listen, *, searched: bool) -> tuple[Splits, list[Splits]]:
    """Return the splits, and the folds where the job asks for some."""
    splits = split(dataset, seed=job.seed, val=job.val, test=job.test)
    parts = folds(splits, job.folds, seed=job.seed) if job.folds else []
    if parts:
        splits = Splits(pooled(splits), splits.val.subset([]), splits.test, (*splits.notes, *parts[0].notes))
    for note in splits.notes:
        listen(Note(note))
    if parts and not searched and job.val != Job.model_fields["val"].default:
        listen(Note(f"val={job.val:g} has no effect on the folds: each validates on 1/{job.folds} of the images that "
                    "are not held out", "warning"))
    return splits, parts


def _refuse_weightless(splits: Splits) -> None:
    """Raise DataError where all images of a part weigh 0: nothing can be learned from it, or measured on it."""
    for name, part in splits.items():
        if len(part) and not part.weights().any():
            raise DataError(f"every image of the {name} split has weight 0, so that it says nothing. Mend the weights, "
                            'or leave them out with --set reader.weight="".')


def _for_task(job: Job, dataset: Dataset) -> Job:
    """Return the job with the task's own defaults. Raises ConfigError for settings that have no effect on the task."""
    task, whole = dataset.task, dataset.whole
    if whole:
        idle = [name for name in ("folds", "advise") if getattr(job, name)]
        if idle:
            raise ConfigError(f"{' and '.join(idle)}: not for {task} yet. Leave it out, and name a method.")
        if job.fit not in (None, "pad"):
            raise ConfigError(f"fit {job.fit}: a model for {task} sees the whole picture in its proportions. Leave it "
                              "out.")
    for name, tasks in (("detector", ("detection",)), ("segmenter", ("semantic",)),
                        ("slices", ("detection", "semantic"))):
        value = getattr(job, name)
        if task not in tasks and value is not None:
            said = getattr(value, "size", value.part_name)
            raise ConfigError(f"{name} {said}: has no effect on {task}. Leave it out.")
    if task == "semantic" and job.slices:
        idle = [name for name in ("whole", "merge", "iou") if name in job.slices.changed()]
        if idle:
            raise ConfigError(f"slices: {' and '.join(idle)} would have no effect on {task}, whose slices are blended. "
                              "Leave it out.")
    # What always answers the same class says nothing of where things are.
    baselines = tuple(method.for_task(task) for method in job.baselines
                      if not whole or method.part_name != "majority")
    return job.model_copy(update={"method": tuple(method.for_task(task) for method in job.method),
                                  "baselines": baselines})


def _methods(job: Job) -> list[Method]:
    """Return all methods that the job runs: the baselines, what they need, and the chain."""
    return [method for chain in (*job.baseline_chains(), job.method) for method in chain]


def _refuse_unsupported(job: Job, task: str, *, adapts: bool) -> None:
    """Raise ConfigError, before anything runs, where a method can't do the task or a setting has no effect on it.

    adapts: whether a target is named.
    """
    if job.thresholds != "half" and task != "multilabel":
        raise ConfigError(f"thresholds {job.thresholds}: an image of a {task} data set gets its most probable class, "
                          "so that this would have no effect. Leave it out.")
    for method in _methods(job):
        if task not in method.tasks:
            able = [name for name, part in METHODS.all().items() if task in part.tasks]
            adapting = [name for name in able if METHODS.get(name).needs_target]
            raise ConfigError(f"method {method.part_name} can't do {task}. Methods that can: {', '.join(able)}."
                              + (f" Those that adapt to a target: {', '.join(adapting)}." if adapts else ""))
        effective = method.settings_for([task])
        idle = [name for name in method.changed() if name not in effective]
        if idle:
            raise ConfigError(f"method {method.part_name}: {' and '.join(idle)}: no effect on {task}. Leave it out.")


def _refuse_targetless(methods: Sequence[Method], splits: Splits, task: str, listen: Listen) -> None:
    """Raise ConfigError where a method adapts to another domain and none is named; say where one is, in vain."""
    able = [method.part_name for method in methods if method.needs_target]
    if able and splits.target is None:
        raise ConfigError(f"{able[0]}: adapts to images of another domain, and none is named. Name them with "
                          "--target FOLDER.")
    if splits.target is not None and not able and splits.labelled is None:
        others = [name for name, part in METHODS.all().items() if part.needs_target and task in part.tasks]
        listen(Note(f"target: no method of this run adapts to it; it is only measured. Methods that do: "
                    f"{', '.join(others)}.", "warning"))


def _refuse_unfit(methods: Sequence[Method], opened: Opened, listen: Listen) -> None:
    """Raise HeadstartError where a method, or the run to start from, does not fit the job, or knows what judges it."""
    job, model, splits = opened.job, opened.model, opened.splits
    before = find_past_run(job.init_from, where="init_from") if job.init_from else None
    _refuse_targetless(methods, splits, opened.dataset.task, listen)
    for method in methods:
        if isinstance(method, Plan):
            refuse_impossible(method, model)
            for sentence in idle(method).values():
                listen(Note(f"{method.part_name}: {sentence}", "warning"))
        method.refuse_unfit(model, splits)
    if before and not opened.parts:
        refuse_leaks([before], splits, where="init_from", of=["test"])
        known = leaks([before], splits, of=["val"])[before]
        if known:
            listen(Note(f"init_from: {before} has learned from {len(known)} of {len(splits.val)} validation images; "
                        "choices made on them will lean towards the start. The test images are new to it.", "warning"))
    for part in opened.parts:
        for method in methods:
            method.refuse_unfit(model, part)
        if before:
            refuse_leaks([before], part, where="init_from")
