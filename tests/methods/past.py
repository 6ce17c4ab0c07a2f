"""Finished runs as `run` leaves them, without the minutes: only what a method may read of them."""

from pathlib import Path

import torch

from headstart.data.dataset import Splits
from headstart.files import write_json, write_text
from headstart.model import Model
from headstart.receipts import sample_table
from headstart.record import backbone_record, write_table
from headstart.training.weights import weights_of, with_weights
from tests.training.small import splits as two_splits


def splits(folder: Path, *, task: str = "classification") -> Splits:
    """Return 20, 8 and 8 pictures for train, val and test."""
    first = two_splits(folder, train=20, val=16, task=task)
    return Splits(first.train, first.val.subset(range(8)), first.val.subset(range(8, 16)))


def moved(start: Model, *, seed: int, scale: float = 0.02) -> Model:
    """Return the model a little way off, as a training leaves it."""
    generator = torch.Generator().manual_seed(seed)
    return with_weights(start, {
        name: tensor + torch.randn(tensor.shape, generator=generator).abs() * scale
        if tensor.is_floating_point() else tensor for name, tensor in weights_of(start).items()})


def finished(folder: Path, model: Model, parts: Splits, *, start: Model, methods: tuple[str, ...] = ("finetune",),
             status: str = "finished") -> Path:
    """Write the run that made `model` from `start`."""
    folder.mkdir(parents=True)
    write_json(folder / "run.json", {"status": status})
    write_json(folder / "data.json", {"task": model.task.part_name, "classes": list(model.classes)})
    write_json(folder / "backbone.json", backbone_record(start))
    write_text(folder / "job.yaml", "method:\n" + "".join(f"- method: {name}\n" for name in methods))
    write_table(folder / "samples.parquet", sample_table(parts))
    model.save(folder / "model.safetensors")
    return folder


