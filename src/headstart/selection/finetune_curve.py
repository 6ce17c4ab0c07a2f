"""Finetune curve: the accuracy of a fine-tuned network on ever more images; each point is a training."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.catalog import Catalog
from headstart.data.dataset import Splits
from headstart.errors import ResourceError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.held_out import divide
from headstart.methods.finetune import Finetune
from headstart.methods.method import Context
from headstart.methods.probe import Probe
from headstart.model import Model
from headstart.seeds import derive
from headstart.selection.curve import Curve, sizes_for
from headstart.selection.pool import Pool, nested
from headstart.tasks.task import Task

FOLDS = 2
"""Parts that are held out, one after the other: each has a curve of its own."""
MOST_SIZES = 4
VAL = 0.2
STEP = "fine-tuned curve"


def finetune_curve(pool: Pool, backbone: Backbone, rows: np.ndarray, *, listen: Listen,
                   remaining: Callable[[], float], epochs: int | None = None) -> Curve:
    """Return the learning curve of fine-tuning; the largest four sizes, two folds.

    A fifth of each subset chooses the epoch. Raises ResourceError where the time is up before every point is known.
    """
    part = pool.images.subset(rows)
    labels = part.labels()
    dealt = divide(labels, FOLDS + 2, seed=derive(pool.job.seed, "curve", 0) % 2**31, groups=part.groups())
    parts = list(dealt)[:FOLDS]
    sizes = sizes_for(min(len(rest) for rest, _ in parts), len(part.classes))[-MOST_SIZES:]
    accuracy = np.empty((len(sizes), len(parts)))
    right, count = np.zeros((len(sizes), len(part.classes))), np.zeros(len(part.classes))
    began, done = time.monotonic(), 0
    listen(Started(STEP, len(sizes) * len(parts), "trainings"))
    for fold, (rest, left) in enumerate(parts):
        count += _by_class(np.ones(len(left)), labels[left], len(part.classes))
        for place, size in enumerate(sizes):
            if remaining() <= 0:
                raise ResourceError(f"the time was up after {done} of {len(sizes) * len(parts)} trainings of the "
                                    "curve. Give it more --limit-time, or forecast with --method probe.")
            few = rest[nested(labels[rest], int(size), seed=derive(pool.job.seed, "nested", 0, fold) % 2**31)]
            correct = _trained(pool, backbone, rows[few], rows[left], epochs, listen)
            accuracy[place, fold] = correct.mean()
            right[place] += _by_class(correct, labels[left], len(part.classes))
            done += 1
            listen(Progress(STEP, done, f"{size} images: {correct.mean():.3f}"))
    listen(Finished(STEP, time.monotonic() - began))
    per_class = np.divide(right, count, out=np.full(right.shape, np.nan), where=count > 0)
    return Curve(sizes, accuracy, min(len(left) for _, left in parts), per_class, count)


def _trained(pool: Pool, backbone: Backbone, few: np.ndarray, left: np.ndarray, epochs: int | None,
             listen: Listen) -> np.ndarray:
    """Return float64 [n]: which of the images `left` a model that learnt from `few` gets right."""
    images = pool.images
    labels = images.subset(few).labels()
    fit, val = next(iter(divide(labels, max(2, round(1 / VAL)), seed=pool.job.seed,
                                groups=images.subset(few).groups())))
    splits = Splits(images.subset(few[fit]), images.subset(few[val]), images.subset([]))
    task = Catalog("tasks", Task).get(images.task)()  # type: ignore[type-abstract]
    model = Model.fresh(backbone, task, images.classes, preprocessing=backbone.spec.preprocessing)
    chosen = {} if epochs is None else {"epochs": epochs}
    with tempfile.TemporaryDirectory() as folder:
        context = Context(listen=_quiet(listen), seed=pool.job.seed, features=pool.store, workspace=Path(folder),
                          device=choose_device(pool.job.device), workers=pool.job.workers)
        model = Finetune.parse(chosen).fit(Probe().fit(model, splits, context), splits, context)
    held = images.subset(left)
    logits = model.logits([sample.source for sample in held.samples])
    truth = held.labels()
    if truth.ndim == 1:
        return np.asarray(logits.argmax(axis=1) == truth, np.float64)
    return np.asarray(((logits > 0) == (truth > 0.5)).mean(axis=1))


def _by_class(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    if labels.ndim == 1:
        return np.bincount(labels, weights=values, minlength=classes)
    return np.asarray((values[:, None] * labels).sum(axis=0), np.float64)


def _quiet(listen: Listen) -> Listen:
    return lambda event: listen(event) if isinstance(event, Note) and event.level != "info" else None
