"""A small real search: noisy pictures in two classes, timm's test_resnet with random weights of a file."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from headstart.backbones.timm import Timm
from headstart.job import Job
from headstart.tuning.candidates import build_search
from headstart.tuning.space import Space

EPOCHS = 3


def write_data(folder: Path, *, each: int = 24) -> Path:
    """Write a folder per class; the classes differ in the side that is a little brighter, and not always."""
    for label, name in enumerate(("left", "right")):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            rng = np.random.default_rng(number + 1000 * label)
            pixels = rng.integers(0, 160, (32, 32, 3)).astype(np.uint8)
            side = label if rng.random() < 0.9 else 1 - label
            pixels[:, 16 * side:16 * side + 16] += rng.integers(5, 60, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
    return folder


def write_weights(path: Path) -> Path:
    torch.manual_seed(0)
    save_file(dict(Timm().build("timm/test_resnet", pretrained=False).state_dict()), path)
    return path


def settings(folder: Path, **changes: object) -> dict[str, object]:
    """Settings of a job on the data and weights in `folder`, which are written there once."""
    if not (folder / "data").exists():
        write_data(folder / "data")
        write_weights(folder / "weights.safetensors")
    return {"data": str(folder / "data"), "backbone": f"timm/test_resnet@{folder / 'weights.safetensors'}",
            "image_size": 32, "fit": "squash", "tracking": "off", "device": "cpu",
            "method": [{"method": "probe"}, {"method": "finetune", "epochs": EPOCHS, "batch_size": 8}], **changes}


def request(folder: Path, *, space: Path | None = None, **changes: object) -> tuple[Job, Space]:
    return build_search(settings(folder, **changes), space=space)
