"""A small real training: 32-pixel pictures in two classes, timm's test_resnet, a few steps."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from headstart.backbones.timm import Timm
from headstart.data.dataset import Dataset, Splits
from headstart.data.transforms import Preprocessing
from headstart.events import Event
from headstart.features.store import FeatureStore
from headstart.methods.finetune import Finetune
from headstart.methods.method import Context
from headstart.model import Model
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel
from headstart.types import Sample

SIZE = 32
SETTINGS = Preprocessing(size=SIZE, interpolation="bilinear")


def pictures(folder: Path, count: int) -> list[Path]:
    """Write noisy pictures; odd ones are brighter on the left, even ones on the right."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 120, (40, 44, 3)).astype(np.uint8)
        half = slice(0, 22) if number % 2 else slice(22, 44)
        pixels[:, half] += 90
        paths.append(folder / f"{number:03d}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def splits(folder: Path, *, train: int = 20, val: int = 8, task: str = "classification") -> Splits:
    paths = pictures(folder, train + val)
    samples = tuple(Sample(path.name, path, n % 2 if task == "classification" else ((n % 2,) if n % 3 else (0, 1)))
                    for n, path in enumerate(paths))
    dataset = Dataset(samples, ("right", "left"), task, "class_folders", root=folder)
    return Splits(dataset.subset(range(train)), dataset.subset(range(train, train + val)), dataset.subset([]))


def model(*, task: str = "classification", seed: int = 0) -> Model:
    torch.manual_seed(seed)
    backbone = Timm().build("timm/test_resnet", pretrained=False).eval()
    made = Classification() if task == "classification" else Multilabel()
    return Model.fresh(backbone, made, ("right", "left"), preprocessing=SETTINGS)


def plan(**changes: object) -> Finetune:
    return Finetune(**{"epochs": 3, "batch_size": 4, "lr_head": 1e-2, "lr_backbone": 1e-3, **changes})  # type: ignore[arg-type]


class Events(list[Event]):
    """A listener that remembers, and calls `then` on each event."""

    then: Callable[[Event], None] | None = None

    def __call__(self, event: Event) -> None:
        self.append(event)
        if self.then is not None:
            self.then(event)

    def of(self, kind: type) -> list:
        return [event for event in self if isinstance(event, kind)]

    def notes(self) -> str:
        return "\n".join(event.text for event in self if hasattr(event, "text"))


def context(folder: Path, listen: Callable[[Event], None], **changes: object) -> Context:
    made = Context(listen=listen, seed=7, features=FeatureStore(folder / "features"), workspace=folder / "checkpoints")
    return replace(made, **changes)  # type: ignore[arg-type]


def digest(trained: Model) -> str:
    """Return a hash of every bit of the weights, the head's included."""
    head = b"".join(t.numpy().tobytes() for t in trained.head.state_dict().values())
    return trained.backbone.weights_hash() + hashlib.sha256(head).hexdigest()


def rows(events: Events) -> list[dict[str, float]]:
    """Return the history without the wall-clock times."""
    from headstart.events import EpochEnded

    return [{"epoch": e.epoch, "step": e.step} | {k: v for k, v in e.values.items() if k != "seconds"}
            for e in events.of(EpochEnded)]
