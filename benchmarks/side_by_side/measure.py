"""One measurement: a method on the drawn images, proven on the set's test part, in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.adaptation import Adapted, adapt_all
from headstart.backbones.resolve import load as load_backbone
from headstart.catalog import Catalog
from headstart.data.dataset import Dataset, Splits
from headstart.data.splits import split
from headstart.evaluation.comparison import compare
from headstart.evaluation.evaluate import evaluate
from headstart.events import Event, Trained, silent
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.job import Job
from headstart.model import Model
from headstart.tasks.task import Task
from side_by_side.grid import BACKBONE, VAL, Cell, known
from side_by_side.sets import SETS, draw

ROOT = Path(__file__).parents[2]


def measure(cell: Cell, threads: int) -> dict[str, Any]:
    """Return the row of a cell. Raises HeadstartError, such as for a method that this version does not have."""
    torch.set_num_threads(threads)
    before, began = _peak_mb(), time.perf_counter()
    splits = draw_splits(cell)
    job = Job.parse({"data": cell.set, "backbone": BACKBONE, "image_size": SETS[cell.set].size, "seed": cell.seed,
                     "fit": "squash" if SETS[cell.set].kind == "drawings" else None, "val": VAL, "tracking": "off",
                     "method": [cell.settings()]})
    heard: list[Event] = []
    model = fresh(job, splits)
    with tempfile.TemporaryDirectory() as folder:
        if cell.method == "probe":
            os.environ["HEADSTART_CACHE"] = folder  # its price is the reading of the features
        chain = adapt_all(job.model_copy(update={"baselines": ()}), model, splits, work=Path(folder),
                          listen=heard.append, remaining=lambda: float("inf"))
        row = proof(chain, splits, cell.seed)
    return {
        "key": cell.key(), "cell": str(cell), **cell.identity(), "method": cell.method,
        "train": len(splits.train), "held_out": len(splits.val), "test": len(splits.test), **row,
        "seconds": round(chain[-1].seconds, 2), "wall_seconds": round(time.perf_counter() - began, 2),
        **parameters(cell, chain[-1].model, heard), "peak_mb": round(_peak_mb()), "start_mb": round(before),
        "threads": threads, "torch": str(torch.__version__), "commit": commit(),
        "date": datetime.now(UTC).isoformat("T", "minutes")}


def draw_splits(cell: Cell) -> Splits:
    """Return the drawn images, parted into train and validation by the cell's seed, and the set's test part."""
    data = known(cell.set)
    samples = [dataclasses.replace(sample, split="train") for sample in draw(data, cell.images, cell.seed)]
    samples += [dataclasses.replace(sample, split="test") for sample in data.test]
    dataset = Dataset(tuple(samples), data.classes, "classification", "class_folders")
    return split(dataset, seed=cell.seed, val=VAL)


def fresh(job: Job, splits: Splits) -> Model:
    """Return the pretrained model before any adapting, as a run of the job would start from."""
    backbone, _ = load_backbone(job.backbone, size=job.image_size)
    preprocessing = backbone.spec.preprocessing
    if job.fit:
        preprocessing = preprocessing.model_copy(update={"fit": job.fit})
    task = Catalog("tasks", Task).get("classification")()  # type: ignore[type-abstract]
    return Model.fresh(backbone, task, splits.train.classes, preprocessing=preprocessing)


def proof(chain: Sequence[Adapted], splits: Splits, seed: int) -> dict[str, Any]:
    """Return accuracy on test with its 95 % interval, that on validation, and the paired difference to the probe."""
    final, truth = chain[-1].model, splits.test.labels()
    logits = _logits(chain[-1], splits.test)
    accuracy = evaluate(logits, truth, splits.test.classes, final.task, seed=seed).metrics["accuracy"]
    on_val = _logits(chain[-1], splits.val).argmax(1) == splits.val.labels()
    row: dict[str, Any] = {"accuracy": _short(accuracy.value), "low": _short(accuracy.low),
                           "high": _short(accuracy.high), "val_accuracy": _short(on_val.mean())}
    if len(chain) > 1:
        mine, its = (final.probabilities(z) for z in (logits, _logits(chain[-2], splits.test)))
        found = compare(truth, mine, its, task=final.task, metric="accuracy", seed=seed)
        row["over_probe"] = [_short(found.value), _short(found.low), _short(found.high)]
    return row


def parameters(cell: Cell, model: Model, heard: Sequence[Event]) -> dict[str, int]:
    """Return how many parameters the method trained, of how many, as it said itself."""
    head = sum(p.numel() for p in model.head.parameters())
    total = head + sum(p.numel() for p in model.backbone.parameters())
    said = [event.parameters for event in heard if isinstance(event, Trained)]
    alone = {"majority": 0, "probe": head}.get(cell.method)
    return {"trained": said[-1] if alone is None else alone, "parameters": total}


def accuracy(model: Model, part: Dataset) -> float:
    """Return the share of images that a model is right on, to four digits."""
    logits = model.logits([sample.source for sample in part.samples])
    return round(float((logits.argmax(axis=1) == part.labels()).mean()), 4)


def commit() -> str:
    """Return the commit of the code, with a mark where files have changed since."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def _logits(item: Adapted, part: Dataset) -> np.ndarray:
    model = item.model
    if item.method.trains_backbone:
        return model.logits([sample.source for sample in part.samples])
    store = FeatureStore(cache_folder() / "features")
    return model.logits_of(store.features(model.backbone, model.preprocessing, part, listen=silent))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _short(value: float) -> float:
    return round(float(value), 4)
