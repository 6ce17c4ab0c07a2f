"""Small sets with masks for runs that adapt: coloured rectangles on noise, and the same in another light."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

import headstart as hs
from headstart.model import KEYS
from headstart.sealed import read_sealed
from tests.e2e.test_semantic import write_masks

DUSK = np.array([0.5, 0.6, 0.8])
"""Factors on red, green and blue."""


def write_dusk(folder: Path, *, count: int = 8, start: int = 500, names: tuple[str, ...] = ("red", "blue")) -> Path:
    """Write pictures with masks, darker and bluer."""
    write_masks(folder, names=names, count=count, start=start)
    for path in (folder / "images").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) * DUSK).astype(np.uint8)).save(path)
    return folder


def weights(of: hs.Run) -> tuple[dict[str, str], dict[str, bytes]]:
    """All that model.safetensors holds; only the order in its header may be another one."""
    header, tensors = read_sealed(of.directory / "model.safetensors", what="model", keys=KEYS)
    return header, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def read(of: hs.Run, name: str) -> object:
    return json.loads((of.directory / name).read_text())
