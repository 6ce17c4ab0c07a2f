"""Adapting: run the baselines and the chain of methods, each once, also when a run is resumed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from headstart.data.dataset import Splits
from headstart.errors import ResourceError
from headstart.events import Listen, Note
from headstart.features.store import FeatureStore
from headstart.files import cache_folder, write_json
from headstart.job import Job
from headstart.methods.method import Context, Method
from headstart.model import Model

WORK = "work"
"""Folder inside the run directory that holds what an interrupted run goes on with."""
MODEL, ADAPTER = "model.safetensors", "adapter.safetensors"


@dataclass(frozen=True)
class Adapted:
    """A model, and the method that made it."""

    name: str
    method: Method
    model: Model
    seconds: float
    new_backbone: bool
    """Whether the backbone may be another one than the method was given, whose features are in no store."""


def adapt_all(job: Job, model: Model, splits: Splits, *, work: Path, listen: Listen,
              remaining: Callable[[], float]) -> list[Adapted]:
    """Return the models of the baselines and of the chain, in that order; the last one is the result.

    A baseline is one model, whatever has to run before it; of the chain each method's is there.
    work: a folder for what an interruption leaves. A method that finished before one is not run again; a method that
    was interrupted goes on.
    """
    if not any(method.takes_labelled for method in job.method):
        splits = splits.joint()
    store = feature_store(splits)
    device = choose_device(job.device)
    done: list[Adapted] = []

    def step(position: int, method: Method, start: Model) -> Adapted:
        folder = work / f"{position}-{method.part_name}"
        folder.mkdir(parents=True, exist_ok=True)
        context = Context(listen=listen, seed=job.seed, features=store, workspace=folder / "checkpoints",
                          device=device, workers=job.workers, remaining=remaining)
        return _fit_once(method, start, splits, context, folder)

    for position, (*needed, baseline) in enumerate(job.baseline_chains()):
        start = model
        for method in needed:
            start = step(position, method, start).model
        done.append(step(position, baseline, start))
    current = model
    for position, method in enumerate(job.method, start=len(job.baselines)):
        done.append(step(position, method, current))
        current = done[-1].model
    return done


def feature_store(splits: Splits) -> FeatureStore:
    """Return the store of features for all verbs, which computes those of each split as it would those of all."""
    return FeatureStore(cache_folder() / "features", images=splits.images)


def _fit_once(method: Method, start: Model, splits: Splits, context: Context, folder: Path) -> Adapted:
    name = method.part_name
    receipt = folder / "done.json"
    if receipt.exists():
        seconds = json.loads(receipt.read_text())["seconds"]
        context.listen(Note(f"{name}: finished before the interruption, taken as it is"))
        return Adapted(name, method, _kept(folder), seconds, method.trains_backbone)
    began = time.perf_counter()
    model = method.fit(start, splits, context)
    seconds = time.perf_counter() - began
    # A method on frozen features takes seconds and gives the same again; only trained weights are worth keeping.
    if method.trains_backbone:
        save_model(model, folder)
        write_json(receipt, {"seconds": seconds})
        shutil.rmtree(context.workspace, ignore_errors=True)
    # One that may train, and did not, hands on the very backbone that it was given.
    return Adapted(name, method, model, seconds, method.trains_backbone and model.backbone is not start.backbone)


def save_model(model: Model, folder: Path) -> None:
    """Write model.safetensors and, where an adapter is all that was trained of the backbone, adapter.safetensors."""
    if model.has_adapter:
        model.save_adapter(folder / ADAPTER)
    model.save(folder / MODEL)


def _kept(folder: Path) -> Model:
    """Return what `save_model` wrote."""
    model = Model.load(folder / MODEL)
    return model.recalling(folder / ADAPTER) if (folder / ADAPTER).exists() else model


def choose_device(wanted: str) -> Literal["cpu", "cuda"]:
    """Return the device: `auto` takes CUDA where it is there. Raises ResourceError for CUDA where it is not."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ResourceError("device cuda: PyTorch sees no GPU here. Check the driver with `nvidia-smi`, or use "
                            "--set device=cpu.")
    return "cuda" if available and wanted != "cpu" else "cpu"
