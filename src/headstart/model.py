"""Model: backbone, head, classes and preprocessing, in one thing that predicts, saves and loads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from headstart.adapter import Adapter, put_on
from headstart.backbones.backbone import Backbone, BackboneSpec, Source
from headstart.backbones.resolve import PERMISSIVE
from headstart.backbones.resolve import load as load_backbone
from headstart.catalog import Catalog
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, IntegrityError
from headstart.events import Listen, silent
from headstart.features.engine import extract
from headstart.sealed import over, read_sealed, under, write_sealed
from headstart.tasks.task import ImageTask, Task
from headstart.types import ImageSource, Prediction

KEYS = {"classes", "task", "preprocessing", "backbone", "temperature"}
"""What the header of model.safetensors holds."""


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
    adapter: Adapter | None = None
    """What a parameter-efficient method trained; it is merged into the backbone's weights already."""

    @classmethod
    def fresh(cls, backbone: Backbone, task: Task, classes: Sequence[str], *, preprocessing: Preprocessing) -> Self:
        """Return the pretrained backbone with a head that knows nothing.

        One for whole images is zero, which gives every class the same probability; a detector's is random, from
        PyTorch's generator.
        """
        head = task.head(backbone, len(classes))
        if isinstance(task, ImageTask):
            for parameter in head.parameters():
                nn.init.zeros_(parameter)
        return cls(backbone, head, tuple(classes), task, preprocessing)

    @property
    def answers(self) -> ImageTask:
        """The task of a model that answers for whole images. Raises ConfigError for any other."""
        if not isinstance(self.task, ImageTask):
            raise ConfigError(f"a {self.task.part_name} model has no one answer for a whole image, so that this can't "
                              "be done with it.")
        return self.task

    def in_slices(self, size: int) -> Self:
        """Return a model that looks at parts of `size` pixels of each picture, each brought to the input of the model.

        One that was trained on slices keeps its other settings of them. Raises ConfigError for a model that says
        something of whole images, and for a size that is none.
        """
        if isinstance(self.task, ImageTask):
            raise ConfigError("slices: only what says something of places looks at parts of a picture, and this model "
                              f"is for {self.task.part_name}. Leave slices out.")
        known: Slices | None = getattr(self.task, "slices", None)
        slices = Slices.parse({**(known.model_dump() if known else {}), "size": size}, where="slices")
        return dataclasses.replace(self, task=self.task.model_copy(update={"slices": slices}))

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
        return self.answers.probabilities(logits, self.temperature)

    def predict(self, images: Sequence[str | Path], *, listen: Listen = silent, device: str = "cpu",
                workers: int = 0) -> list[Prediction]:
        """Return one prediction per image, in order; `error` is set where an image can't be read."""
        errors: dict[int, str] = {}
        logits = self.logits([Path(image) for image in images], listen=listen, device=device, workers=workers,
                             errors=errors)
        good = [row for row in range(len(images)) if row not in errors]
        probabilities = np.full(logits.shape, np.nan)
        probabilities[good] = self.probabilities(logits[good])
        labels = dict(zip(good, self.answers.decide(probabilities[good]), strict=True)) if good else {}
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
        write_sealed(path, over("backbone.", self.backbone) | over("head.", self.head), self._header())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the model that `save` wrote.

        Raises ConfigError where there is no such file; IntegrityError where it is damaged, or is not such a file.
        """
        header, tensors = read_sealed(path, what="model", keys=KEYS)
        spec = BackboneSpec.parse(json.loads(header["backbone"]), where=f"{path}: backbone")
        preprocessing = Preprocessing.parse(json.loads(header["preprocessing"]), where=f"{path}: preprocessing")
        source = Catalog("backbones", Source).get(spec.source)()  # type: ignore[type-abstract]
        backbone = source.assemble(spec, channels=preprocessing.channels)
        try:
            backbone.load_state_dict(under("backbone.", tensors))
        except RuntimeError as error:
            raise IntegrityError(f"{path}: the weights do not fit {spec.architecture}: {error}") from None
        return cls._assembled(path, backbone.eval(), header, tensors)

    @property
    def has_adapter(self) -> bool:
        """Whether all that was trained of the backbone is an adapter: a later method may have trained the rest."""
        return self.adapter is not None and self.adapter.merged_sha256 == self.backbone.weights_hash()

    def save_adapter(self, path: Path) -> None:
        """Write adapter, head, classes and what `save` says of them, but not the backbone: only its name and hash.

        Raises ConfigError where there is no adapter.
        """
        if self.adapter is None or not self.has_adapter:
            raise ConfigError("this model has no adapter to save: its backbone was not trained by lora, dora or ia3. "
                              "Save the whole of it with `save`.")
        write_sealed(path, self.adapter.named_tensors() | over("head.", self.head),
                     self._header() | self.adapter.header())

    @classmethod
    def with_adapter(cls, path: str | Path, backbone: Backbone | None = None, *,
                     allow_licenses: Sequence[str] = PERMISSIVE) -> Self:
        """Return the model of an `adapter.safetensors`, whose outputs are those of the run that wrote it.

        backbone: what the adapter was trained on; None loads the pretrained one that the file names, if the licence of
        its weights is among `allow_licenses`; `any` allows all.
        Raises IntegrityError where the backbone's weights are others, or the file is damaged; ConfigError where there
        is no such file, or the licence is another; ResourceError where the pretrained weights or peft are missing.
        """
        path = Path(path)
        header, tensors = read_sealed(path, what="adapter", keys=KEYS | set(Adapter.HEADER))
        spec = BackboneSpec.parse(json.loads(header["backbone"]), where=f"{path}: backbone")
        if backbone is None:
            # The file may come from anywhere: what it says of the licence allows nothing.
            backbone, _ = load_backbone(spec.architecture, channels=spec.preprocessing.channels,
                                        size=spec.preprocessing.size, allow_licenses=allow_licenses)
        merged, adapter = put_on(backbone, Adapter.of(header, tensors, where=str(path)), where=str(path))
        merged.spec = spec
        return dataclasses.replace(cls._assembled(path, merged.eval(), header, tensors), adapter=adapter)

    def recalling(self, path: Path) -> Self:
        """Return this model with the adapter that `save_adapter` wrote of it, which is merged into it already."""
        header, tensors = read_sealed(path, what="adapter", keys=KEYS | set(Adapter.HEADER))
        return dataclasses.replace(self, adapter=Adapter.of(header, tensors, where=str(path)))

    def _header(self) -> dict[str, str]:
        return {
            "classes": json.dumps(self.classes),
            "task": self.task.part_name,
            "task_settings": self.task.model_dump_json(),
            "preprocessing": self.preprocessing.model_dump_json(),
            "backbone": self.backbone.spec.model_dump_json(),
            "temperature": repr(self.temperature),
        }

    @classmethod
    def _assembled(cls, path: Path, backbone: Backbone, header: Mapping[str, str],
                   tensors: Mapping[str, torch.Tensor]) -> Self:
        """Return the backbone with the head, classes, task and preprocessing of a file."""
        classes = tuple(json.loads(header["classes"]))
        made = Catalog("tasks", Task).get(header["task"])  # type: ignore[type-abstract]
        # Files of before there were such settings have none.
        task = made.parse(json.loads(header.get("task_settings", "{}")), where=f"{path}: task")
        head = task.head(backbone, len(classes))
        try:
            head.load_state_dict(under("head.", tensors))
        except RuntimeError as error:
            raise IntegrityError(f"{path}: the head does not fit {backbone.spec.architecture}: {error}") from None
        preprocessing = Preprocessing.parse(json.loads(header["preprocessing"]), where=f"{path}: preprocessing")
        return cls(backbone, head.eval(), classes, task, preprocessing, float(header["temperature"]))
