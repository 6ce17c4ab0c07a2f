"""Overlays: pictures with the true boxes and the detector's, those with the most errors first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from headstart.data.regions import decoded
from headstart.report import svg
from headstart.report.detection_errors import KINDS
from headstart.report.mistakes import Pictures, thumbnail
from headstart.types import Rle

SHOWN = 12
SIDE = 320
"""Pixels of the longer side of an embedded picture."""
RIGHT, WRONG = (0, 114, 178), (198, 81, 2)
"""Colours of masks."""
MOST = 60
"""Boxes drawn of each sort in one picture."""


@dataclass(frozen=True)
class Overlay:
    """One picture with its boxes."""

    id: str
    errors: int
    figure: str
    """Empty where the picture is gone."""
    told: str
    """What is wrong, in words."""


def worst_overlays(table: pd.DataFrame, classes: Sequence[str], *, root: Path | None,
                   pictures: Pictures) -> tuple[list[Overlay], int]:
    """Return the pictures with the most errors, the worst first, and how many have any.

    table: rows of predictions.parquet of one split (`detection_records.COLUMNS`). root: of relative paths.
    """
    rows: list[Mapping[str, Any]] = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    counted = [(_errors(row), row) for row in rows]
    wrong = sorted((item for item in counted if item[0]), key=lambda item: (-item[0], str(item[1]["id"])))
    return [_overlay(number, errors, row, classes, _opened(row["path"], root, pictures))
            for number, (errors, row) in enumerate(wrong[:SHOWN])], len(wrong)


def _errors(row: Mapping[str, Any]) -> int:
    return sum(kind in KINDS for kind in row["kinds"]) + sum(state == "missed" for state in row["true_states"])


def _opened(path: Any, root: Path | None, pictures: Pictures) -> Image.Image | None:
    if path is None or pd.isna(path):
        return None
    return pictures(str(path if Path(path).is_absolute() or root is None else root / path))


def _overlay(number: int, errors: int, row: Mapping[str, Any], classes: Sequence[str],
             picture: Image.Image | None) -> Overlay:
    told = _told(row, classes)
    if picture is None:
        return Overlay(str(row["id"]), errors, "", told)
    width, height = picture.size
    small = thumbnail(_with_masks(picture, row), side=SIDE)
    scale = small.width / width, small.height / height
    objects = [_box(box, scale, kind="missed" if state in ("missed", "mistaken") else "true",
                    hover=f"true {classes[int(label)]}, {state}")
               for box, label, state in list(zip(row["true_boxes"], row["true_labels"], row["true_states"],
                                                 strict=True))[:MOST]]
    given = [(box, score, label, kind) for box, score, label, kind in
             zip(row["boxes"], row["scores"], row["labels"], row["kinds"], strict=True) if kind != "below"]
    boxes = [_box(box, scale, kind="said-wrong" if kind in KINDS else "said-right",
                  hover=f"said {classes[int(label)]} {score:.2f}: {KINDS[kind][0] if kind in KINDS else kind}")
             for box, score, label, kind in given[:MOST]]
    image = svg.element("image", href=small.uri, x=0, y=0, width=small.width, height=small.height)
    figure = svg.picture(
        f"overlay-{number}", image, *objects, *boxes, width=small.width, height=small.height,
        words=f"{row['id']}: {len(row['true_boxes'])} true boxes, {len(given)} of the model",
        description=told)
    return Overlay(str(row["id"]), errors, figure, told)


def _with_masks(picture: Image.Image, row: Mapping[str, Any]) -> Image.Image:
    """Return the picture with the pixels of each detection that is shown, where they were told."""
    if row.get("masks") is None:
        return picture
    pixels = np.array(picture.convert("RGB"), np.float32)
    for counts, kind in zip(row["masks"], row["kinds"], strict=True):
        if kind != "below":
            mask = decoded(Rle(picture.height, picture.width, tuple(counts)))
            pixels[mask] = (pixels[mask] + (WRONG if kind in KINDS else RIGHT)) / 2
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _box(box: Sequence[float], scale: tuple[float, float], *, kind: str, hover: str) -> str:
    """Return a rectangle on a light rim, so that it is seen on any picture."""
    left, top, right, bottom = (float(edge) * scale[place % 2] for place, edge in enumerate(box))
    place = {"x": left, "y": top, "width": max(0.0, right - left), "height": max(0.0, bottom - top)}
    return svg.element("rect", **place, class_="rim") + svg.element("rect", svg.title(hover), **place,
                                                                    class_=f"box {kind}")


def _told(row: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return such as `2 missed RBC, 1 made up WBC`."""
    counts = Counter((KINDS[kind][0], classes[int(label)])
                     for kind, label in zip(row["kinds"], row["labels"], strict=True) if kind in KINDS)
    counts += Counter(("missed", classes[int(label)])
                      for state, label in zip(row["true_states"], row["true_labels"], strict=True) if state == "missed")
    return ", ".join(f"{count} {word} {name}" for (word, name), count in counts.most_common(8)) or "no error"
