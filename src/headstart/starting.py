"""Starting: the model with which a run starts, from a backbone, a published detector or another run."""

from __future__ import annotations

from typing import Any

import torch

from headstart.backbones.detector_backbone import DetectorBackbone
from headstart.backbones.resolve import AUTO, find, load
from headstart.catalog import Catalog
from headstart.data.class_names import matched
from headstart.data.dataset import Dataset
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.detectors.head import DetectionHead
from headstart.detectors.yolox import Yolox
from headstart.errors import ConfigError
from headstart.events import Listen, Note
from headstart.gate import wanted_size
from headstart.job import Job
from headstart.model import Model
from headstart.runs import load_run
from headstart.seeds import derive
from headstart.segmenters.head import SegmentationHead
from headstart.tasks.detection import Detection
from headstart.tasks.semantic import Semantic
from headstart.tasks.task import Task


def as_before(job: Job, before: Model) -> Job:
    """Return a job that starts from another run with what it takes over: the backbone, and the input's size, fit,
    channels and slices.

    before: the model of that run. Raises ConfigError for what can't be changed: it would be recorded, and not done.
    """
    kept: dict[str, Any] = {"image_size": before.preprocessing.size, "fit": before.preprocessing.fit,
            "channels": before.preprocessing.channels}
    asked: dict[str, Any] = {name: getattr(job, name) for name in kept if name in job.model_fields_set}
    known: dict[str, Any] = dict(kept)
    if job.backbone != AUTO:
        asked["backbone"], known["backbone"] = (
            name.partition("@")[0] for name in (job.backbone, before.backbone.spec.architecture))
    if isinstance(before.task, Detection) and job.detector not in (None, before.task.detector):
        asked["detector"] = job.detector.part_name  # type: ignore[union-attr]
        known["detector"] = f"{before.task.detector.part_name} as it is"
    if isinstance(before.task, Semantic) and job.segmenter not in (None, before.task.segmenter):
        asked["segmenter"] = job.segmenter.part_name  # type: ignore[union-attr]
        known["segmenter"] = f"{before.task.segmenter.part_name} as it is"
    for name, value in asked.items():
        if value not in (None, known[name]):
            raise ConfigError(f"{name} {value}: {job.init_from} has {known[name]}, which a run that starts from it "
                              f"keeps. Leave {name} out, or init_from.")
    kept["backbone"] = before.backbone.spec.architecture
    return job.model_copy(update={**kept, "slices": _slices(job.slices, getattr(before.task, "slices", None))})


def _slices(asked: Slices | None, before: Slices | None) -> Slices | None:
    """Return the slices of the run before with what is asked of them in its place."""
    if asked is None or before is None:
        return asked or before
    return before.model_copy(update={name: getattr(asked, name) for name in asked.model_fields_set})


def starting_model(job: Job, dataset: Dataset, listen: Listen, before: Model | None = None) -> tuple[Model, Job]:
    """Return the model before any adapting, and the job with the backbone's name in place of `auto`.

    before: the model of the run that `init_from` names; None reads it.
    """
    if job.init_from:
        fresh = _start_from(before or load_run(job.init_from).model, dataset, _task(job, dataset.task), listen)
        listen(Note(f"starting from {job.init_from}: {fresh.backbone.spec.architecture}"))
        if dataset.whole:
            listen(Note(_why(job, fresh.task, fresh.preprocessing.size)))
        return fresh, job
    own = find(job.backbone).detector if job.backbone != AUTO and dataset.task == "detection" else ""
    task = _task(job, dataset.task, own)
    size = wanted_size(job, own) if dataset.whole else job.image_size
    backbone, note = load(job.backbone, channels=job.channels, size=size,
                          allow_licenses=job.allow_licenses)
    if note:
        listen(Note(note))
    preprocessing = backbone.spec.preprocessing
    fit = "pad" if dataset.whole else job.fit
    if fit:
        preprocessing = preprocessing.model_copy(update={"fit": fit})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(job.seed, "head"))
        if isinstance(backbone, DetectorBackbone) and backbone.brought and _reads(job, own):
            fresh = _start_from(_published(backbone, task, preprocessing), dataset, task, listen)
        else:
            fresh = Model.fresh(backbone, task, dataset.classes, preprocessing=preprocessing)
    if dataset.whole:
        listen(Note(_why(job, task, size or backbone.spec.preprocessing.size)))
    if job.detector and not _reads(job, own or job.detector.part_name):
        listen(Note(f"{backbone.spec.architecture}: of this detector only the part up to its maps is used; detector "
                    f"{job.detector.part_name} reads them with heads that start anew. Leave detector out to keep its "
                    "own.", "warning"))
    return fresh, job.model_copy(update={"backbone": backbone.spec.architecture})


def _task(job: Job, name: str, own: str = "") -> Task:
    """Return the task with what the job says of it. own: the detector that the backbone brings."""
    made = Catalog("tasks", Task).get(name)  # type: ignore[type-abstract]
    given: dict[str, dict[str, Any]] = {
        "detection": {"detector": job.detector or own or None, "slices": job.slices},
        "semantic": {"segmenter": job.segmenter, "slices": job.slices}}
    return made.parse({key: value for key, value in given.get(name, {}).items() if value})


def _why(job: Job, task: Task, size: int) -> str:
    """Return a sentence on the architecture and the size of its input, and why they were taken."""
    assert isinstance(task, Detection | Semantic), task
    seen = f"slices of {task.slices.size} pixels, each brought to {size}" if task.slices else \
        f"pictures of {size} pixels on their longer side"
    if isinstance(task, Semantic):
        said = f"segmenter {task.segmenter.part_name} on {seen}"
        return f"{said}." if job.segmenter or job.image_size or task.slices or job.init_from else (
            f"{said}: what two cores train in minutes. Fine structures want more: --set image_size={2 * size} costs "
            "four times as much.")
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


def _start_from(model: Model, dataset: Dataset, task: Task, listen: Listen) -> Model:
    """Return `model` with its head mapped to the data's classes by name; rows of new classes are zero."""
    if isinstance(model.task, Detection):
        task = model.task.model_copy(update={"thresholds": (), "slices": getattr(task, "slices", None)})
    if isinstance(model.task, Semantic):
        task = model.task.model_copy(update={"slices": getattr(task, "slices", None)})
    fresh = Model.fresh(model.backbone, task, dataset.classes, preprocessing=model.preprocessing)
    pairs = matched(dataset.classes, model.classes)
    if isinstance(fresh.head, DetectionHead | SegmentationHead):
        fresh.head.take_over(model.head, pairs)  # type: ignore[arg-type]
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
