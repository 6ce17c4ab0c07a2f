"""Mask overlays: pictures with the true and the model's classes in colour, and where they differ, the worst first."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from headstart.data.pixel_classes import coloured
from headstart.report import words
from headstart.report.mistakes import Pictures, Thumbnail, thumbnail
from headstart.types import IGNORED

SHOWN = 12
SIDE = 320
"""Pixels of the longer side of an embedded picture."""
RIGHT, WRONG, NOTHING = (225, 229, 234), (200, 40, 60), (255, 255, 255)
"""Colours of the error map."""
WORST = 4
"""Classes that are told of a picture."""


@dataclass(frozen=True)
class MaskOverlay:
    """One picture: the truth, the answer and the errors on it; None where the picture is gone."""

    id: str
    miou: float
    told: str
    truth: Thumbnail | None
    answer: Thumbnail | None
    errors: Thumbnail


def worst_masks(table: pd.DataFrame, classes: Sequence[str], *, root: Path | None,
                pictures: Pictures) -> list[MaskOverlay]:
    """Return the pictures with the lowest mean IoU, the worst first; those of ignored pixels alone are left out.

    table: rows of predictions.parquet of one split (`segmentation_records.COLUMNS`). root: of relative paths.
    """
    rows: list[Mapping[str, Any]] = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    known = sorted((row for row in rows if not pd.isna(row["miou"])), key=lambda row: (row["miou"], str(row["id"])))
    return [_overlay(row, classes, root, pictures) for row in known[:SHOWN]]


def decoded(data: bytes) -> np.ndarray:
    """Return uint8 [h, w], class indices from a small PNG of the run."""
    return np.asarray(Image.open(io.BytesIO(data)))


def _overlay(row: Mapping[str, Any], classes: Sequence[str], root: Path | None, pictures: Pictures) -> MaskOverlay:
    truth, answer = decoded(row["truth"]), decoded(row["answer"])
    errors = np.where((truth == answer)[..., None], RIGHT, WRONG)
    errors[truth == IGNORED] = NOTHING
    path = row["path"]
    picture = None if path is None or pd.isna(path) else pictures(
        str(path if Path(path).is_absolute() or root is None else root / path))
    return MaskOverlay(str(row["id"]), float(row["miou"]), _told(row, classes),
                       None if picture is None else _laid(picture, truth, len(classes)),
                       None if picture is None else _laid(picture, answer, len(classes)),
                       thumbnail(Image.fromarray(errors.astype(np.uint8)), side=SIDE))


def _laid(picture: Image.Image, found: np.ndarray, classes: int) -> Thumbnail:
    """Return the picture with the colours of the classes on it."""
    small = picture.convert("RGB").resize((found.shape[1], found.shape[0]), Image.Resampling.LANCZOS)
    return thumbnail(coloured(small, found, classes), side=SIDE)


def _told(row: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return such as `pole 0.12, fence 0.20`: the classes that fit worst."""
    true, said, right = (np.asarray(row[name], np.float64) for name in ("true_pixels", "predicted_pixels",
                                                                       "right_pixels"))
    union = true + said - right
    shown = sorted(((right[c] / union[c], name) for c, name in enumerate(classes) if union[c] > 0))
    return ", ".join(f"{name} {words.number(float(iou), 2)}" for iou, name in shown[:WORST])
