"""Opening: from a job to what a run starts with: data admitted and split, a model, and no mistake left to find late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.backbones.detector_backbone import DetectorBackbone
from headstart.backbones.resolve import AUTO, find, load
from headstart.catalog import Catalog
from headstart.data.box_findings import INPUT_SIZE
from headstart.data.class_names import matched
from headstart.data.dataset import Dataset, Splits
from headstart.data.folds import folds, pooled
from headstart.data.splits import split
from headstart.data.transforms import Preprocessing
from headstart.detectors.head import DetectionHead
from headstart.detectors.yolox import Yolox
from headstart.errors import ConfigError, DataError
from headstart.events import Listen, Note
from headstart.gate import admit
from headstart.job import METHODS, Job
from headstart.methods.method import Method
from headstart.model import Model
from headstart.past_runs import find_past_run, leaks, refuse_leaks
from headstart.runs import load_run
from headstart.seeds import derive
from headstart.selection.advised import Choice, follow, take_ranked
from headstart.selection.pool import pool_of
from headstart.selection.ranking import FOLDER
from headstart.tasks.detection import Detection
from headstart.tasks.task import Task
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


def open_job(job: Job, dataset: Dataset | None, listen: Listen, *, methods: Sequence[Method] = ()) -> Opened:
    """Return what the job starts with; nothing is written.

    dataset: the data already read, or None; methods: more of them that must fit, besides the job's own.
    Raises HeadstartError.
    """
    if job.backbone != AUTO and not job.init_from:
        find(job.backbone)
    dataset, findings = admit(job, dataset, listen)
    job = _for_task(job, dataset.task)
    if methods and dataset.task == "detection":
        raise ConfigError("a search for settings can't judge detectors yet. Use `headstart adapt` with your own.")
    splits, parts = _divide(job, dataset, listen, searched=bool(methods))
    for part in (splits, *parts):
        _refuse_weightless(part)
    job, choice = _chosen(job, dataset, findings, splits, listen)
    model, job = starting_model(job, dataset, listen)
    opened = Opened(job, dataset, findings, splits, parts, model, choice)
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
    if job.backbone == AUTO and not job.init_from and dataset.task != "detection" and Path(FOLDER).is_dir():
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


def starting_model(job: Job, dataset: Dataset, listen: Listen) -> tuple[Model, Job]:
    """Return the model before any adapting, and the job with the backbone's name in place of `auto`."""
    _refuse_unsupported(job, dataset.task)
    if job.init_from:
        before = load_run(job.init_from).model
        _refuse_other(job, before)
        fresh = _start_from(before, dataset, _task(job, dataset.task), listen)
        if isinstance(fresh.task, Detection):
            listen(Note(_why(job, fresh.task, fresh.preprocessing.size)))
        return fresh, job
    own = find(job.backbone).detector if job.backbone != AUTO and dataset.task == "detection" else ""
    task = _task(job, dataset.task, own)
    size = job.image_size or _size(job, dataset.task, own)
    backbone, note = load(job.backbone, channels=job.channels, size=size,
                          allow_licenses=job.allow_licenses)
    if note:
        listen(Note(note))
    preprocessing = backbone.spec.preprocessing
    fit = "pad" if dataset.task == "detection" else job.fit
    if fit:
        preprocessing = preprocessing.model_copy(update={"fit": fit})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(job.seed, "head"))
        if isinstance(backbone, DetectorBackbone) and backbone.brought and _reads(job, own):
            fresh = _start_from(_published(backbone, task, preprocessing), dataset, task, listen)
        else:
            fresh = Model.fresh(backbone, task, dataset.classes, preprocessing=preprocessing)
    if dataset.task == "detection":
        listen(Note(_why(job, task, size or backbone.spec.preprocessing.size)))
    if job.detector and not _reads(job, own or job.detector.part_name):
        listen(Note(f"{backbone.spec.architecture}: of this detector only the part up to its maps is used; detector "
                    f"{job.detector.part_name} reads them with heads that start anew. Leave detector out to keep its "
                    "own.", "warning"))
    return fresh, job.model_copy(update={"backbone": backbone.spec.architecture})


def _refuse_other(job: Job, before: Model) -> None:
    """Raise ConfigError for what a run that starts from another can't change: it would be recorded, and not done."""
    settings: list[tuple[str, Any, Any]] = [
        ("image_size", job.image_size, before.preprocessing.size), ("fit", job.fit, before.preprocessing.fit)]
    if job.backbone != AUTO:
        asked, known = (name.partition("@")[0] for name in (job.backbone, before.backbone.spec.architecture))
        settings.append(("backbone", asked, known))
    if isinstance(before.task, Detection) and job.detector is not None and job.detector != before.task.detector:
        settings.append(("detector", job.detector.part_name, f"{before.task.detector.part_name} as it is"))
    for name, asked, known in settings:
        if asked is not None and asked != known:
            raise ConfigError(f"{name} {asked}: {job.init_from} has {known}, which a run that starts from it keeps. "
                              f"Leave {name} out, or init_from.")


def _task(job: Job, name: str, own: str = "") -> Task:
    """Return the task with what the job says of it. own: the detector that the backbone brings."""
    made = Catalog("tasks", Task).get(name)  # type: ignore[type-abstract]
    given = {"detector": job.detector or own or None, "slices": job.slices} if name == "detection" else {}
    return made.parse({key: value for key, value in given.items() if value})


def _size(job: Job, task: str, own: str) -> int | None:
    """Return the size of the input where the job does not say; None for the backbone's own.

    Of slices it is their own size: they are cut so that nothing is shrunk.
    """
    if task != "detection":
        return None
    return job.slices.size if job.slices else None if own else INPUT_SIZE


def _why(job: Job, task: Task, size: int) -> str:
    """Return a sentence on the detector and the size of its input, and why they were taken."""
    assert isinstance(task, Detection), task
    seen = f"slices of {task.slices.size} pixels, each brought to {size}" if task.slices else \
        f"pictures of {size} pixels on their longer side"
    said = f"detector {task.detector.part_name} on {seen}"
    if job.detector or job.image_size or task.slices or job.init_from or not isinstance(task.detector, Yolox):
        return f"{said}."
    return (f"{said}: what two cores train in minutes. Small objects want more: --set image_size={2 * size} costs four "
            "times as much.")


def _reads(job: Job, own: str) -> bool:
    """Return whether the job leaves the part that reads a published detector's maps as it came. own: its name."""
    return job.detector is None or job.detector.part_name == own


def _published(backbone: DetectorBackbone, task: Task, preprocessing: Preprocessing) -> Model:
    """Return a published detector as it is, with its own classes."""
    brought = backbone.brought
    assert brought is not None, backbone.spec.architecture
    whole = Model.fresh(backbone, task, brought.classes, preprocessing=preprocessing)
    assert isinstance(whole.head, DetectionHead), type(whole.head)
    whole.head.model.load_state_dict(brought.tensors)
    return whole


def _for_task(job: Job, task: str) -> Job:
    """Return the job with the task's own defaults. Raises ConfigError for settings that have no effect on the task."""
    if task == "detection":
        idle = [name for name in ("folds", "advise") if getattr(job, name)]
        if idle:
            raise ConfigError(f"{' and '.join(idle)}: not for detection yet. Leave it out, and name a method.")
        if job.fit not in (None, "pad"):
            raise ConfigError(f"fit {job.fit}: a detector sees the whole picture in its proportions. Leave it out.")
    elif job.detector is not None:
        raise ConfigError(f"detector {job.detector.part_name}: has no effect on {task}. Leave it out.")
    elif job.slices is not None:
        raise ConfigError(f"slices {job.slices.size}: has no effect on {task}. Leave it out.")
    # What always answers the same class says nothing of where objects are.
    baselines = tuple(method.for_task(task) for method in job.baselines
                      if task != "detection" or method.part_name != "majority")
    return job.model_copy(update={"method": tuple(method.for_task(task) for method in job.method),
                                  "baselines": baselines})


def _methods(job: Job) -> list[Method]:
    """Return all methods that the job runs: the baselines, what they need, and the chain."""
    return [method for chain in (*job.baseline_chains(), job.method) for method in chain]


def _refuse_unsupported(job: Job, task: str) -> None:
    """Raise ConfigError, before anything runs, where a method can't do the task or a setting has no effect on it."""
    if job.thresholds != "half" and task != "multilabel":
        raise ConfigError(f"thresholds {job.thresholds}: an image of a {task} data set gets its most probable class, "
                          "so that this would have no effect. Leave it out.")
    for method in _methods(job):
        if task not in method.tasks:
            able = [name for name, part in METHODS.all().items() if task in part.tasks]
            raise ConfigError(f"method {method.part_name} can't do {task}. Methods that can: {', '.join(able)}.")
        effective = method.settings_for([task])
        idle = [name for name in method.changed() if name not in effective]
        if idle:
            raise ConfigError(f"method {method.part_name}: {' and '.join(idle)}: no effect on {task}. Leave it out.")


def _refuse_unfit(methods: Sequence[Method], opened: Opened, listen: Listen) -> None:
    """Raise HeadstartError where a method, or the run to start from, does not fit the job, or knows what judges it."""
    job, model, splits = opened.job, opened.model, opened.splits
    before = find_past_run(job.init_from, where="init_from") if job.init_from else None
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


def _start_from(model: Model, dataset: Dataset, task: Task, listen: Listen) -> Model:
    """Return `model` with its head mapped to the data's classes by name; rows of new classes are zero."""
    if isinstance(model.task, Detection):
        task = model.task.model_copy(update={"thresholds": (), "slices": getattr(task, "slices", None)
                                             or model.task.slices})
    fresh = Model.fresh(model.backbone, task, dataset.classes, preprocessing=model.preprocessing)
    pairs = matched(dataset.classes, model.classes)
    if isinstance(fresh.head, DetectionHead) and isinstance(model.head, DetectionHead):
        fresh.head.take_over(model.head, pairs)
    else:
        with torch.no_grad():
            for mine, its in zip(fresh.head.parameters(), model.head.parameters(), strict=True):
                for row, old in pairs:
                    mine[row] = its[old]
    names = [(dataset.classes[mine], model.classes[its]) for mine, its in pairs]
    known = [mine if mine == its else f"{mine} as {its}" for mine, its in names]
    kept = {mine for mine, _ in pairs}
    new = [name for place, name in enumerate(dataset.classes) if place not in kept]
    listen(Note(f"head: {len(known)} classes kept by name ({', '.join(known) or 'none'}), "
                f"{len(new)} new ({', '.join(new) or 'none'})"))
    return fresh
