"""The demo's data and job: scikit-learn's 1,797 handwritten digits as image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.files import atomic_write
from headstart.job import Job

SIDE = 64
"""Pixels of a written image; the originals have 8, so that nothing is lost."""


def write_digits(folder: Path) -> Path:
    """Write the digits into class folders as PNG, unless they are there, and return the folder."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for number, (image, label) in enumerate(zip(images.reshape(-1, 8, 8), labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        if not path.exists():
            grey = Image.fromarray(np.clip(image * 255 / 16, 0, 255).astype(np.uint8))
            with atomic_write(path) as file:
                grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, format="PNG")
    return folder


def digits_job(folder: Path) -> Job:
    """Return the demo's job: small inputs, because an upscaled digit holds no detail that 224 pixels would show."""
    return Job(data=str(folder.resolve()), backbone="efficientnet_lite0", image_size=SIDE, fit="squash",
               baselines="scratch", method="finetune")  # type: ignore[arg-type]
