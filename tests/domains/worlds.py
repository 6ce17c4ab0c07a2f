"""Domains of features alone: no picture is read, and the truth about the target is known to the test only."""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from headstart.data.dataset import Dataset, Splits
from headstart.domains.feature_space import Domains
from headstart.heads import LinearHead
from headstart.methods.method import Context
from headstart.model import Model
from headstart.types import Sample
from tests.training.small import Events, context, model


@dataclass(frozen=True)
class Known(Context):
    """A context that knows the features of each part, by its first image."""

    features_of: dict[str, np.ndarray] = field(default_factory=dict)

    def vectors(self, model: Model, part: Dataset) -> np.ndarray:
        return self.features_of[part.samples[0].id.partition(" ")[0]][
            [int(sample.id.partition(" ")[2]) for sample in part.samples]].astype(np.float32)


def part(name: str, labels: np.ndarray | None, count: int, classes: int) -> Dataset:
    given = [None] * count if labels is None else [int(label) for label in labels]
    samples = tuple(Sample(f"{name} {row}", Path("/never/read"), label) for row, label in enumerate(given))
    return Dataset(samples, tuple(f"class {label}" for label in range(classes)), "classification", "folder")


def world(folder: Path, train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray],
          target: np.ndarray, *, classes: int, events: Events) -> tuple[Splits, Known]:
    """Splits and a context in which the features are the given ones. train, val: features [N, D], labels [N]."""
    parts = Splits(part("train", train[1], len(train[0]), classes), part("val", val[1], len(val[0]), classes),
                   part("test", np.array([], int), 0, classes), target=part("target", None, len(target), classes))
    base = context(folder, events)
    return parts, Known(base.listen, base.seed, base.features, base.workspace,
                        features_of={"train": train[0], "val": val[0], "target": target})


def model_of(weights: np.ndarray, bias: np.ndarray) -> Model:
    """A model with the given linear head; its backbone is never asked, and one for all."""
    head = LinearHead(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(weights))
        head.linear.bias.copy_(torch.from_numpy(bias))
    return replace(_plain(), head=head.eval(), classes=tuple(f"class {label}" for label in range(len(weights))))


@cache
def _plain() -> Model:
    return model()


def soft(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def domains(*, source: int = 40, target: int = 30, width: int = 6, classes: int = 3, seed: int = 0) -> Domains:
    """Two random domains; the target is turned, stretched and moved."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(source, width))
    other = rng.normal(size=(target, width)) @ rng.normal(size=(width, width)) + rng.normal(0, 3, width)
    return Domains(first, rng.integers(0, classes, source), rng.uniform(0.5, 2, source), other,
                   soft(rng.normal(0, 2, (target, classes))))


def blobs(centres: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, spread: float = 0.5) -> np.ndarray:
    return np.asarray(centres[labels] + rng.normal(0, spread, (len(labels), centres.shape[1])))
