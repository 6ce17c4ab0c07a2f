"""Mistakes: the pictures where the model is most sure and wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from headstart.errors import HeadstartError
from headstart.images import decode
from headstart.report.reading import Record

SHOWN = 24
SIDE = 160
"""Pixels of the longer side of an embedded picture."""

Pictures = Callable[[str], Image.Image | None]
"""From a path of predictions.parquet to the picture, or None where it can't be had any more."""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture as a data URI."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Mistake:
    """One wrong answer."""

    id: str
    true: list[str]
    predicted: list[str]
    wrong: str
    """The class that the confidence is about."""
    confidence: float
    """How sure the model is of what is wrong, 0..1."""
    missed: bool
    """Several labels only: the label `wrong` is there and was not given."""
    thumbnail: Thumbnail | None


def open_picture(path: str) -> Image.Image | None:
    """Return the picture upright and in RGB, decoded as in training; None where it is gone or damaged."""
    try:
        return Image.fromarray(decode(Path(path)))
    except (HeadstartError, OSError, ValueError):
        # A picture that was moved since the run is no fault of the page: it says so in its place.
        return None


def most_confident(record: Record, pictures: Pictures) -> tuple[list[Mistake], int]:
    """Return the surest mistakes of the proving split, the surest first, and how many there are in all."""
    table = record.predictions
    if table is None or record.whole:
        return [], 0
    table = table[table["split"] == record.split]
    find = _of_labels if record.several else _of_class
    found = [(find(row), row) for row in table.to_dict("records")]
    wrong = [(verdict, row) for verdict, row in found if verdict is not None]
    wrong.sort(key=lambda item: (-item[0][1], str(item[1]["id"])))
    root = Path(record.data.root) if record.data.root else None
    return [_mistake(verdict, row, record.data.classes, _picture(row, root, pictures))
            for verdict, row in wrong[:SHOWN]], len(wrong)


def thumbnail(picture: Image.Image, *, side: int = SIDE) -> Thumbnail:
    """Return the picture at most `side` pixels wide and high; small ones stay as they are, as PNG."""
    small = picture.convert("RGB")
    exact = max(small.size) <= side // 2
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    if exact:
        small.save(data, format="PNG", optimize=True)
    else:
        small.save(data, format="JPEG", quality=80, optimize=True)
    encoded = base64.b64encode(data.getvalue()).decode()
    return Thumbnail(f"data:image/{'png' if exact else 'jpeg'};base64,{encoded}", *small.size)


Wrong = tuple[int, float, bool]
"""The class that is wrong, how sure the model is of it, and whether it was missed."""


def _of_class(row: dict[Any, Any]) -> Wrong | None:
    predicted = int(row["predicted"])
    return None if predicted == int(row["label"]) else (predicted, float(row["confidence"]), False)


def _of_labels(row: dict[Any, Any]) -> Wrong | None:
    """Return the surest wrong decision: a label given at its probability, or missed at one minus that."""
    true, given = ({int(position) for position in row[name]} for name in ("label", "predicted"))
    probabilities = row["probabilities"]
    wrong = [(i, float(probabilities[i]), False) for i in sorted(given - true)]
    wrong += [(i, 1 - float(probabilities[i]), True) for i in sorted(true - given)]
    return max(wrong, key=lambda item: item[1]) if wrong else None


def _mistake(wrong: Wrong, row: dict[Any, Any], classes: Sequence[str], picture: Image.Image | None) -> Mistake:
    position, confidence, missed = wrong
    return Mistake(str(row["id"]), _names(row["label"], classes), _names(row["predicted"], classes),
                   classes[position], confidence, missed, thumbnail(picture) if picture else None)


def _names(label: Any, classes: Sequence[str]) -> list[str]:
    return [classes[int(position)] for position in (label if hasattr(label, "__len__") else [label])]


def _picture(row: dict[Any, Any], root: Path | None, pictures: Pictures) -> Image.Image | None:
    path = row["path"]
    if path is None or pd.isna(path):
        return None
    return pictures(str(path if Path(path).is_absolute() or root is None else root / path))
