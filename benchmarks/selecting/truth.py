"""The truth of the selection benchmark: every candidate fine-tuned on the drawn images, proven on images never drawn.

The epoch and, where one rate does not suit all architectures, the learning rate are chosen on many images that were not
drawn: a fifth of a hundred drawn ones would choose them by chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from side_by_side.measure import accuracy, commit
from side_by_side.sets import SETS, Parts, draw, parts

from headstart.adaptation import adapt_all
from headstart.catalog import Catalog
from headstart.data.dataset import Dataset, Splits
from headstart.events import silent
from headstart.job import Job
from headstart.model import Model
from headstart.tasks.task import Task
from headstart.types import Sample
from selecting.candidates import CANDIDATES, named

NAMES = ("hymenoptera", "digits", "amazon", "brain_mri", "usps", "caltech10", "webcam", "mnist")
SEEDS = (0, 1, 2)
IMAGES = {"hymenoptera": 60, "brain_mri": 50}
"""Images a class that are drawn, where it is not MANY."""
MANY = 16
MOST_VAL, MOST_TEST = 200, 600
"""Images at most that choose the epoch, and that prove it; of each class its share."""
BATCH = 16
COURSE: Mapping[str, Mapping[str, Any]] = {
    "drawings": {"steps": 60, "lr_head": 1e-3, "augment": "light"},
    "photos": {"steps": 50, "lr_head": 3e-4, "augment": "standard"}}
"""The course of the side-by-side benchmark for few labels (side_by_side/methods.py)."""
RATES = {"drawings": (1e-3, 3e-4), "photos": (1e-4,)}
"""Of the backbone. On drawings MobileNetV2 learns nothing at the rate that is the best for EfficientNet-Lite."""


@dataclass(frozen=True)
class Cell:
    """One candidate on one set with one seed."""

    candidate: str
    set: str
    seed: int

    def __str__(self) -> str:
        return f"{self.set}:{self.candidate}:{self.seed}"


def cells() -> Iterator[Cell]:
    """Yield all cells, the first seed of every set before the second of any."""
    for seed, name, made in itertools.product(SEEDS, NAMES, CANDIDATES):
        yield Cell(str(made), name, seed)


def todo(rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Return the cells without a row."""
    done = {(row["set"], row["candidate"], row["seed"]) for row in rows}
    return [cell for cell in cells() if (cell.set, cell.candidate, cell.seed) not in done]


@cache
def known(name: str) -> Parts:
    """Return the parts of a set, read once."""
    return parts(SETS[name])


def draw_splits(name: str, seed: int) -> Splits:
    """Return the drawn images in train; of the others half in val, half in test, which has the set's test part, too.

    At most MOST_VAL and MOST_TEST of them.
    """
    found = known(name)
    drawn = draw(found, IMAGES.get(name, MANY), seed)
    ids = {sample.id for sample in drawn}
    others = _spread([sample for sample in found.pool if sample.id not in ids])
    count = min(MOST_VAL, len(others) // 2)
    val = _evenly(others, count)
    chosen = {sample.id for sample in val}
    test = _spread([*found.test, *(sample for sample in others if sample.id not in chosen)])
    test = _evenly(test, min(MOST_TEST, len(test)))
    parts = (Dataset(tuple(dataclasses.replace(sample, split=part) for sample in samples), found.classes,
                     "classification", "class_folders")
             for part, samples in (("train", drawn), ("val", val), ("test", test)))
    return Splits(*parts)


def _evenly(samples: Sequence[Sample], count: int) -> list[Sample]:
    return [samples[place * len(samples) // count] for place in range(count)]


def _spread(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples class by class, in each by the hash of the name."""
    return sorted(samples, key=lambda s: (int(s.label), hashlib.sha256(s.id.encode()).digest()))  # type: ignore[arg-type]


def fresh(candidate: str, name: str, classes: tuple[str, ...]) -> Model:
    """Return the candidate before any adapting, its input as suits the set."""
    kind = SETS[name].kind
    backbone = named(candidate).build(kind)
    preprocessing = backbone.spec.preprocessing
    if kind == "drawings":
        preprocessing = preprocessing.model_copy(update={"fit": "squash"})
        backbone.spec = backbone.spec.model_copy(update={"preprocessing": preprocessing})
    return Model.fresh(backbone, Catalog("tasks", Task).get("classification")(), classes,  # type: ignore[type-abstract]
                       preprocessing=preprocessing)


def measure(cell: Cell, threads: int) -> dict[str, Any]:
    """Return the row of a cell: accuracy of probe and fine-tune on test, and the CPU seconds of one adapting."""
    torch.set_num_threads(threads)
    kind = SETS[cell.set].kind
    splits = draw_splits(cell.set, cell.seed)
    trainings = [_trained(cell, splits, rate) for rate in RATES[kind]]
    best = max(trainings, key=lambda training: training["val_accuracy"])
    return {"set": cell.set, "candidate": cell.candidate, "seed": cell.seed, "train": len(splits.train),
            "val": len(splits.val), "test": len(splits.test), **best,
            "cpu_seconds": min(training["cpu_seconds"] for training in trainings), "trainings": trainings,
            "threads": threads, "torch": str(torch.__version__), "commit": commit()}


def _trained(cell: Cell, splits: Splits, rate: float) -> dict[str, Any]:
    """Return what came of a training at one learning rate of the backbone."""
    course = dict(COURSE[SETS[cell.set].kind])
    epochs = max(1, round(course.pop("steps") * BATCH / len(splits.train)))
    job = Job.parse({"data": cell.set, "seed": cell.seed, "tracking": "off", "method": [
        {"method": "finetune", "epochs": epochs, "batch_size": BATCH, "precision": "float32", "lr_backbone": rate,
         **course}]})
    model = fresh(cell.candidate, cell.set, splits.train.classes)
    with tempfile.TemporaryDirectory() as folder:
        began, clock = time.process_time(), time.perf_counter()
        chain = adapt_all(job.model_copy(update={"baselines": ()}), model, splits, work=Path(folder), listen=silent,
                          remaining=lambda: float("inf"))
        spent, seconds = time.process_time() - began, time.perf_counter() - clock
    models = {item.name: item.model for item in chain}
    return {"lr_backbone": rate, "epochs": epochs, "probe": accuracy(models["probe"], splits.test),
            "accuracy": accuracy(models["finetune"], splits.test),
            "val_accuracy": accuracy(models["finetune"], splits.val), "cpu_seconds": round(spent, 2),
            "seconds": round(seconds, 2), "size": model.preprocessing.size,
            "parameters": model.backbone.spec.parameters, "width": model.backbone.width}
