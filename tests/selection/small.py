"""Small data and small backbones for the judgements: noisy pictures in two classes, timm's test_resnet from files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from headstart.backbones.timm import Timm
from headstart.events import silent
from headstart.job import Job, build_job
from headstart.selection.pool import Pool, open_pool

ARCHITECTURE = "timm/test_resnet"


def write_data(folder: Path, *, each: int = 40, classes: int = 2) -> Path:
    """Write a folder per class; the classes differ in the strip that is a little brighter."""
    width = 32 // classes
    for label in range(classes):
        (folder / f"strip{label}").mkdir(parents=True)
        for number in range(each):
            rng = np.random.default_rng(number + 1000 * label)
            pixels = rng.integers(0, 160, (32, 32, 3)).astype(np.uint8)
            side = label if rng.random() < 0.95 else (label + 1) % classes
            pixels[:, width * side:width * (side + 1)] += rng.integers(20, 80, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"strip{label}" / f"{number:03d}.png")
    return folder


def write_weights(path: Path, *, seed: int = 0, dead: bool = False) -> str:
    """Write random weights and return the backbone's name; dead: with features that are the same for every image."""
    torch.manual_seed(seed)
    tensors = dict(Timm().build(ARCHITECTURE, pretrained=False).state_dict())
    if dead:
        tensors = {name: torch.zeros_like(tensor) if "weight" in name else tensor for name, tensor in tensors.items()}
    save_file(tensors, path)
    return f"{ARCHITECTURE}@{path}"


def job_on(data: Path, **settings: object) -> Job:
    return build_job({"data": str(data), "image_size": 32, "fit": "squash", "tracking": "off", "device": "cpu",
                      **settings})


def pool_on(data: Path, **settings: object) -> Pool:
    return open_pool(job_on(data, **settings), None, silent)
