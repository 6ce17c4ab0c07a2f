"""Pictures in memory as a data set."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.types import Sample


class Png:
    """A picture, uint8 [H, W] or [H, W, 3], that gives its bytes as PNG when it is asked for them."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.picture = pixels

    def __call__(self) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.picture).save(file, "png", compress_level=1)
        return file.getvalue()


def dataset(pictures: Sequence[np.ndarray], labels: Sequence[int], classes: Sequence[str]) -> Dataset:
    """Return the pictures under their labels."""
    samples = tuple(Sample(f"picture {number}", Png(pixels), int(label))
                    for number, (pixels, label) in enumerate(zip(pictures, labels, strict=True)))
    return Dataset(samples, tuple(classes), "classification", "memory")
