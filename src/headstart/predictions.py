"""Predictions as CSV and JSON: one entry per image, in the order they were asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.errors import DataError
from headstart.images import EXTENSIONS
from headstart.types import Prediction


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the images: files as they are, folders replaced by the images below them, sorted by name.

    A path that does not exist stays: it gets an entry with its error like any other that can't be read.
    Raises DataError for a folder without images.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file()
                        and not any(part.startswith(".") for part in file.relative_to(path).parts))
        if not inside:
            raise DataError(f"{path}: no images in this folder. Known endings: {', '.join(sorted(EXTENSIONS))}.")
        found += inside
    return found


def to_json(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return plain values: image, label, probabilities, error."""
    return [{"image": p.image, "label": list(p.label) if isinstance(p.label, tuple) else p.label,
             "probabilities": p.probabilities, "error": p.error} for p in predictions]


def to_csv(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """Return CSV with the columns image, label, error and a probability per class; labels joined by `;`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "error", *(f"p_{name}" for name in classes)])
    for p in predictions:
        label = ";".join(p.label) if isinstance(p.label, tuple) else p.label
        numbers = [f"{p.probabilities[name]:.6f}" for name in classes] if p.probabilities else [""] * len(classes)
        writer.writerow([p.image, label or "", p.error or "", *numbers])
    return text.getvalue()
