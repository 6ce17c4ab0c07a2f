"""The demo's data and job: scikit-learn's 1,797 handwritten digits as image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.files import atomic_write
from headstart.job import Job

SIDE = 128
"""Pixels of a written image; the originals have 8."""
EPOCHS = 2


def write_digits(folder: Path) -> Path:
    """Write the digits into class folders as PNG, unless they are there, and return the folder.

    Dark ink on white paper with a margin, as a photograph of handwriting would show them.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for number, (image, label) in enumerate(zip(images.reshape(-1, 8, 8), labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        if not path.exists():
            ink = Image.fromarray((255 - np.pad(image, 1) * 255 / 16).astype(np.uint8))
            with atomic_write(path) as file:
                ink.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(file, format="PNG")
    return folder


def digits_job(folder: Path) -> Job:
    """Return the demo's job.

    Digits are far from ImageNet's photographs: the backbone learns fast and BatchNorm follows. Scratch gets as many
    epochs, so that the difference is what the pretrained weights are worth.
    """
    finetune = {"method": "finetune", "epochs": EPOCHS, "lr_backbone": 1e-3, "lr_head": 1.5e-3, "batch_norm": "train",
                "augment": "none"}
    return Job.parse({
        "data": str(folder.resolve()), "backbone": "efficientnet_lite0", "image_size": SIDE, "fit": "squash",
        "val": 0.15, "baselines": [{"method": "scratch", "epochs": EPOCHS}], "method": [finetune]})
