"""Model: backbone, head, classes and preprocessing, in one thing that predicts, saves and loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec, Source, hash_tensors
from headstart.catalog import Catalog
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, IntegrityError
from headstart.events import Listen, silent
from headstart.features.engine import extract
from headstart.files import atomic_write
from headstart.heads import LinearHead
from headstart.tasks.task import Task
from headstart.types import ImageSource, Prediction

FORMAT = "1"
"""Version of the layout of model.safetensors."""


@dataclass(frozen=True)
class Model:
    """A backbone with a head for named classes. The methods that make new models leave the old one alone."""

    backbone: Backbone
    head: nn.Module
    classes: tuple[str, ...]
    task: Task
    preprocessing: Preprocessing
    temperature: float = 1.0
    """Logits are divided by this before they become probabilities (Guo et al., ICML 2017)."""

    @classmethod
    def fresh(cls, backbone: Backbone, task: Task, classes: Sequence[str], *, preprocessing: Preprocessing) -> Self:
        """Return the pretrained backbone with a head of zeros, which gives every class the same probability."""
        head = task.head(backbone.width, len(classes))
        for parameter in head.parameters():
            nn.init.zeros_(parameter)
        return cls(backbone, head, tuple(classes), task, preprocessing)

    def logits(self, sources: Sequence[ImageSource], *, listen: Listen = silent, step: str = "predict",
               device: str = "cpu", workers: int = 0, errors: dict[int, str] | None = None) -> np.ndarray:
        """Return float32 [N, C]. A broken image raises DataError, or is told in `errors` and has a row of NaN."""
        vectors = extract(self.backbone, self.preprocessing, sources, listen=listen, step=step, device=device,
                          workers=workers, errors=errors)
        return self.logits_of(vectors)

    def logits_of(self, vectors: np.ndarray) -> np.ndarray:
        """Return float32 [N, C] from pooled features float32 [N, D]."""
        head = self.head.cpu().eval()
        with torch.inference_mode():
            return np.asarray(head(torch.from_numpy(np.ascontiguousarray(vectors, np.float32))).numpy())

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 [N, C]."""
        return self.task.probabilities(logits, self.temperature)

    def predict(self, images: Sequence[str | Path], *, listen: Listen = silent, device: str = "cpu",
                workers: int = 0) -> list[Prediction]:
        """Return one prediction per image, in order; `error` is set where an image can't be read."""
        errors: dict[int, str] = {}
        logits = self.logits([Path(image) for image in images], listen=listen, device=device, workers=workers,
                             errors=errors)
        good = [row for row in range(len(images)) if row not in errors]
        probabilities = np.full(logits.shape, np.nan)
        probabilities[good] = self.probabilities(logits[good])
        labels = dict(zip(good, self.task.decide(probabilities[good]), strict=True)) if good else {}
        return [
            Prediction(str(image), None, None, errors[row]) if row in errors
            else Prediction(str(image), self._name(labels[row]),
                            dict(zip(self.classes, probabilities[row].tolist(), strict=True)))
            for row, image in enumerate(images)
        ]

    def _name(self, decision: Any) -> str | tuple[str, ...]:
        if np.ndim(decision):
            return tuple(self.classes[i] for i in np.flatnonzero(decision))
        return self.classes[int(decision)]

    def save(self, path: Path) -> None:
        """Write weights, classes, preprocessing, task and their hash as one safetensors file, atomically."""
        from safetensors.torch import save

        tensors = self._tensors()
        header = {
            "format": FORMAT,
            "classes": json.dumps(self.classes),
            "task": self.task.part_name,
            "task_settings": self.task.model_dump_json(),
            "preprocessing": self.preprocessing.model_dump_json(),
            "backbone": self.backbone.spec.model_dump_json(),
            "temperature": repr(self.temperature),
            "sha256": hash_tensors(tensors),
        }
        with atomic_write(path) as file:
            file.write(save(tensors, metadata=header))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the model that `save` wrote.

        Raises ConfigError where there is no such file; IntegrityError where it is damaged, or is not such a file.
        """
        if not path.exists():
            raise ConfigError(f"{path}: there is no model here. Give the folder of a finished run.")
        header, tensors = _read(path)
        spec = BackboneSpec.parse(json.loads(header["backbone"]), where=f"{path}: backbone")
        preprocessing = Preprocessing.parse(json.loads(header["preprocessing"]), where=f"{path}: preprocessing")
        made = Catalog("tasks", Task).get(header["task"])  # type: ignore[type-abstract]
        # Files of before there were such settings have none.
        task = made.parse(json.loads(header.get("task_settings", "{}")), where=f"{path}: task")
        source = Catalog("backbones", Source).get(spec.source)()  # type: ignore[type-abstract]
        backbone = source.build(spec.architecture, channels=preprocessing.channels, pretrained=False)
        backbone.spec = spec
        head = LinearHead(backbone.width, len(json.loads(header["classes"])))
        try:
            backbone.load_state_dict(_under("backbone.", tensors))
            head.load_state_dict(_under("head.", tensors))
        except RuntimeError as error:
            raise IntegrityError(f"{path}: the weights do not fit {spec.architecture}: {error}") from None
        backbone.eval()
        return cls(backbone, head.eval(), tuple(json.loads(header["classes"])), task, preprocessing,
                   float(header["temperature"]))

    def _tensors(self) -> dict[str, torch.Tensor]:
        parts = [("backbone.", self.backbone), ("head.", self.head)]
        return {prefix + name: tensor.detach().cpu().contiguous().clone()
                for prefix, part in parts for name, tensor in part.state_dict().items()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise IntegrityError(f"{path}: damaged or not a model file ({error}). Restore it from a copy.") from None
    missing = {"format", "classes", "task", "preprocessing", "backbone", "temperature", "sha256"} - set(header)
    if missing:
        raise IntegrityError(f"{path}: not a Headstart model: its header lacks {', '.join(sorted(missing))}.")
    if header["format"] != FORMAT:
        raise IntegrityError(f"{path}: written in layout {header['format']}, this version reads {FORMAT}.")
    if hash_tensors(tensors) != header["sha256"]:
        raise IntegrityError(f"{path}: the weights are not those that were saved. Restore the file from a copy.")
    return header, tensors


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
