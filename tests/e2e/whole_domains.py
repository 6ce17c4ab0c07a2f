"""What masks and boxes have in common where they adapt to a target: small sets in two lights, and runs on them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import headstart as hs
from headstart.model import KEYS
from headstart.run import run
from headstart.sealed import read_sealed
from tests.e2e.test_detection import write_boxes
from tests.e2e.test_semantic import write_masks

PROBE = {"method": "probe", "epochs": 2}
ADABN = {"method": "adabn", "guard": "none"}
FDA = {"method": "fda", "epochs": 1, "guard": "none"}
DUSK = np.array([0.5, 0.6, 0.8])
"""Factors on red, green and blue."""


@dataclass(frozen=True)
class Kind:
    """One kind of labels."""

    name: str
    metric: str
    """What a result is held against others by."""
    write: Callable[..., Path]
    """(folder, count=, start=) -> the folder, with coloured rectangles on noise."""
    poison: Callable[[Path], None]
    """Gives the images of a folder other labels."""
    bare: Callable[[Path], Path]
    """Returns the folder of a copy of which the images alone are left."""
    settings: dict[str, Any]
    """Of a job."""
    threshold: float
    """From which a teacher that was hardly trained is sure of something."""
    columns: tuple[str, ...] = ()
    """What the history of a teacher has besides."""
    mistakes: tuple[tuple[dict[str, Any], str], ...] = field(default=())
    """Jobs that are refused, and by what words."""

    @property
    def teacher(self) -> dict[str, Any]:
        """A mean teacher."""
        return {"method": "mean_teacher", "epochs": 2, "threshold": self.threshold, "guard": "none"}

    @property
    def methods(self) -> dict[str, dict[str, Any]]:
        """Those that adapt, by name."""
        return {"adabn": ADABN, "fda": FDA, "mean_teacher": self.teacher}

    def dusk(self, folder: Path, **changes: Any) -> Path:
        """Write pictures with labels, darker and bluer."""
        self.write(folder, **{"count": 8, "start": 501, **changes})
        for path in [*folder.glob("*.png"), *(folder / "images").glob("*.png")]:
            Image.fromarray((np.asarray(Image.open(path)) * DUSK).astype(np.uint8)).save(path)
        return folder

    def world(self, folder: Path) -> Path:
        """Write a source, and a target of the same in another light."""
        self.write(folder / "source", count=15)
        self.dusk(folder / "target")
        return folder

    def job(self, world: Path, **changes: object) -> hs.Job:
        """A job on both."""
        return hs.Job.parse({
            "data": str(world / "source"), "target": str(world / "target"), "backbone": "efficientnet_lite0",
            "image_size": 64, "tracking": "off", "device": "cpu", "baselines": "majority", **self.settings, **changes})

    def made(self, world: Path, out: Path, method: dict[str, object], **changes: object) -> hs.Run:
        """The run of a probe and a method."""
        return run(self.job(world, method=[PROBE, method], **changes), out)


def weights(of: hs.Run) -> tuple[dict[str, str], dict[str, bytes]]:
    """All that model.safetensors holds; only the order in its header may be another one."""
    header, tensors = read_sealed(of.directory / "model.safetensors", what="model", keys=KEYS)
    return header, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def read(of: hs.Run, name: str) -> Any:
    return json.loads((of.directory / name).read_text())


def _each_others_masks(folder: Path) -> None:
    """Give the images each other's masks, turned upside down."""
    paths = sorted((folder / "masks").iterdir())
    masks = [np.asarray(Image.open(path)) for path in paths]
    for path, other in zip(paths, [*masks[1:], masks[0]], strict=True):
        Image.fromarray(other[::-1]).save(path)


def _images_of_masks(folder: Path) -> Path:
    return folder / "images"


def _other_boxes(folder: Path) -> None:
    """Give the images other boxes, of other classes and sizes, and fewer of them."""
    file = folder / "annotations.json"
    value = json.loads(file.read_text())
    value["annotations"] = [{**one, "bbox": [3, 4, 20, 9], "area": 180, "category_id": value["categories"][0]["id"]}
                            for one in value["annotations"][::2]]
    file.write_text(json.dumps(value))


def _images_of_boxes(folder: Path) -> Path:
    (folder / "annotations.json").unlink()
    return folder


MASKS = Kind("semantic", "miou", write_masks, _each_others_masks, _images_of_masks,
             {"segmenter": {"segmenter": "unet", "width": 16}}, 0.3,
             mistakes=(({"method": {"method": "fda", "monitor": "miou"}}, "monitor would have no effect"),))
BOXES = Kind("detection", "ap", write_boxes, _other_boxes, _images_of_boxes, {"detector": "fcos"}, 0.1,
             columns=("target_boxes",),
             mistakes=(({"method": {"method": "fda", "monitor": "ap50"}}, "monitor would have no effect"),))
