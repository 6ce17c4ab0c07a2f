"""Small pictures for tests, each with its own random pixels."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(path: Path, *, seed: int = 0, size: tuple[int, int] = (12, 10), **options: Any) -> Path:
    """Write a random RGB picture, size (width, height), in the format of the ending, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, size)).save(path, **options)
    return path


def noise(seed: int, size: tuple[int, int] = (12, 10)) -> np.ndarray:
    """Return random uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def folders(root: Path, counts: dict[str, int]) -> Path:
    """Write so many PNG files into each folder below `root`, no two alike, and return `root`."""
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed += 1
            picture(root / name / f"{name.replace('/', '-')}-{number}.png", seed=seed)
    return root
