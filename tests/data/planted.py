"""Small picture folders with planted faults."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, *, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """Return a smooth random colour picture; two seeds give two different ones."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def folder(root: Path, counts: dict[str, int], *, seed: int = 0) -> Path:
    """Write so many different PNG files into each folder, such as {"train/a": 5}."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(seed).save(root / name / f"{number:03d}.png")
            seed += 1
    return root


def truncate(file: Path) -> None:
    """Cut the last third of a file off."""
    data = file.read_bytes()
    file.write_bytes(data[:len(data) * 2 // 3])
