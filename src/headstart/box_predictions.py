"""Box predictions as files: COCO JSON, YOLO text, CSV, drawn pictures. One entry for each image that was asked for.

# K detections of an image
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from headstart.data.pixel_classes import OPACITY
from headstart.data.regions import decoded
from headstart.data.run_lengths import area, compressed
from headstart.detecting import detect
from headstart.errors import ConfigError, nearest
from headstart.events import Listen, silent
from headstart.files import atomic_write, distinct_stems, write_text
from headstart.images import ImageError, decode
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.types import Detections, Rle

COLUMNS = ("image", "label", "score", "left", "top", "right", "bottom", "error")
COLOURS = ("#0072b2", "#c65102", "#00755a", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442", "#000000")
"""Okabe and Ito's palette, by class in turn; the name stands beside every box."""

Open = Callable[[str], Image.Image | None]
"""From an image's name to the picture, upright, or None where it can't be had."""


@dataclass(frozen=True, slots=True)
class BoxPrediction:
    """What a detector says of one image: detections, or the error that says why there are none."""

    image: str
    """As it was asked for."""
    size: tuple[int, int] | None
    """Height and width of the upright picture; None where it could not be read."""
    found: Detections | None
    error: str | None = None


def coco_results(predictions: Sequence[BoxPrediction], *, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Return COCO's list of results, as its evaluation reads it: a dictionary for each detection.

    category_id is the position of the class + 1; `segmentation` is the mask as run lengths, from a detector that tells
    masks. ids: of the images; None numbers them from 1 in their order.
    """
    return [{"image_id": image, "category_id": int(label) + 1, "bbox": _sides(box), "score": float(score),
             **({} if mask is None else {"segmentation": {"size": [mask.height, mask.width],
                                                          "counts": compressed(mask)}})}
            for image, one in zip(ids or range(1, len(predictions) + 1), predictions, strict=True)
            for (box, score, label), mask in zip(_rows(one), _masks(one), strict=True)]


def coco_dataset(predictions: Sequence[BoxPrediction], classes: Sequence[str], *,
                 ids: Sequence[int] | None = None) -> dict[str, Any]:
    """Return {"images", "categories", "annotations"}: every image with its size or its error, and all detections."""
    numbers = ids or range(1, len(predictions) + 1)
    images = [{"id": number, "file_name": one.image, "height": one.size[0] if one.size else None,
               "width": one.size[1] if one.size else None, "error": one.error}
              for number, one in zip(numbers, predictions, strict=True)]
    areas = [area(mask) for one in predictions for mask in _masks(one) if mask is not None]
    rows = coco_results(predictions, ids=ids)
    annotations = [{"id": n, **row, "iscrowd": 0, "area": areas[n - 1] if areas else row["bbox"][2] * row["bbox"][3]}
                   for n, row in enumerate(rows, 1)]
    return {"images": images, "categories": [{"id": c, "name": name} for c, name in enumerate(classes, 1)],
            "annotations": annotations}


def yolo_lines(prediction: BoxPrediction) -> str:
    """Return a line `class centre_x centre_y width height score` for each detection, in shares of the picture."""
    if prediction.size is None:
        return ""
    height, width = prediction.size
    lines = []
    for (left, top, right, bottom), score, label in _rows(prediction):
        places = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                  (bottom - top) / height)
        lines.append(" ".join([str(int(label)), *(f"{place:.8f}" for place in places), f"{score:.6f}"]) + "\n")
    return "".join(lines)


def boxes_csv(predictions: Sequence[BoxPrediction], classes: Sequence[str]) -> str:
    """Return CSV, a row for each detection; an image without any, or with an error, has one row of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in predictions:
        rows = [[classes[int(label)], f"{score:.6f}", *(f"{edge:.3f}" for edge in box)] for box, score, label in
                _rows(one)]
        for row in rows or [[""] * 6]:
            writer.writerow([one.image, *row, one.error or ""])
    return text.getvalue()


def draw_boxes(picture: Image.Image, found: Detections, classes: Sequence[str]) -> Image.Image:
    """Return a copy in RGB with each box, its class and its score; the surest lie on top. The given one stays."""
    drawn = picture.convert("RGB")
    if found.masks is not None:
        drawn = _with_masks(drawn, found)
    pen = ImageDraw.Draw(drawn)
    side = max(drawn.size)
    thick = max(2, round(side / 400))
    font = ImageFont.load_default(size=max(11, side / 60))
    for place in np.argsort(found.scores, kind="stable"):
        left, top, right, bottom = (float(edge) for edge in found.boxes[place])
        colour = COLOURS[int(found.labels[place]) % len(COLOURS)]
        pen.rectangle((left, top, right, bottom), outline=colour, width=thick)
        words = f"{classes[int(found.labels[place])]} {found.scores[place]:.2f}"
        _, _, width, height = pen.textbbox((0, 0), words, font=font)
        # Above the box, or inside it at the edge of the picture; never beyond its right edge.
        at = max(0.0, min(left, drawn.width - width - 4)), top - height - 4 if top > height + 4 else max(0.0, top)
        pen.rectangle((at[0], at[1], at[0] + width + 4, at[1] + height + 4), fill=colour)
        pen.text((at[0] + 2, at[1] + 2), words, fill="#000000" if _light(colour) else "#ffffff", font=font)
    return drawn


def _with_masks(picture: Image.Image, found: Detections) -> Image.Image:
    """Return the picture with the pixels of each detection in the colour of its class; the surest lie on top."""
    pixels = np.asarray(picture).astype(np.float32)
    assert found.masks is not None, "drawn where there are masks"
    for place in np.argsort(found.scores, kind="stable"):
        colour = np.array(ImageColor.getrgb(COLOURS[int(found.labels[place]) % len(COLOURS)]), np.float32)
        mask = decoded(found.masks[place])
        pixels[mask] = (1 - OPACITY) * pixels[mask] + OPACITY * colour
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def write_boxes(folder: Path, predictions: Sequence[BoxPrediction], classes: Sequence[str], *,
                formats: Sequence[str] = ("coco", "results", "csv"), open_picture: Open | None = None) -> list[Path]:
    """Write the formats into `folder`, each file whole or not at all, and return the paths.

    coco: predictions.json (every image, with its error). results: coco_results.json, for COCO's evaluation, which wants
    all boxes, however unsure. csv: predictions.csv. yolo: labels/NAME.txt for each image that could be read, and
    labels/classes.txt. pictures: pictures/NAME.jpg for each that `open_picture` gives.
    Raises ConfigError for an unknown format, and where pictures are asked for without `open_picture`.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(f'unknown format "{name}".' + nearest(name, FORMATS))
    if "pictures" in formats and open_picture is None:
        raise ConfigError("to draw pictures, say how they are opened (open_picture).")
    written = []
    for name in formats:
        for path, content in FORMATS[name](predictions, classes, open_picture or _nothing):
            target = folder / path
            if isinstance(content, str):
                write_text(target, content)
            else:
                with atomic_write(target) as file:
                    content.save(file, format="JPEG", quality=90)
            written.append(target)
    return written


Files = Iterator[tuple[str, "str | Image.Image"]]


def _coco(predictions: Sequence[BoxPrediction], classes: Sequence[str], _: Open) -> Files:
    yield "predictions.json", _json(coco_dataset(predictions, classes))


def _results(predictions: Sequence[BoxPrediction], classes: Sequence[str], _: Open) -> Files:
    yield "coco_results.json", _json(coco_results(predictions))


def _csv(predictions: Sequence[BoxPrediction], classes: Sequence[str], _: Open) -> Files:
    yield "predictions.csv", boxes_csv(predictions, classes)


def _yolo(predictions: Sequence[BoxPrediction], classes: Sequence[str], _: Open) -> Files:
    names = distinct_stems([one.image for one in predictions], taken={"classes"})
    for name, one in zip(names, predictions, strict=True):
        if one.found is not None:
            yield f"labels/{name}.txt", yolo_lines(one)
    yield "labels/classes.txt", "".join(f"{name}\n" for name in classes)


def _pictures(predictions: Sequence[BoxPrediction], classes: Sequence[str], open_picture: Open) -> Files:
    for name, one in zip(distinct_stems([one.image for one in predictions]), predictions, strict=True):
        picture = open_picture(one.image) if one.found is not None else None
        if picture is not None and one.found is not None:
            yield f"pictures/{name}.jpg", draw_boxes(picture, one.found, classes)


FORMATS: dict[str, Callable[[Sequence[BoxPrediction], Sequence[str], Open], Files]] = {
    "coco": _coco, "results": _results, "csv": _csv, "yolo": _yolo, "pictures": _pictures}


def _rows(prediction: BoxPrediction) -> Iterator[tuple[list[float], float, int]]:
    if prediction.found is not None:
        yield from zip(prediction.found.boxes.astype(np.float64).tolist(),
                       prediction.found.scores.astype(np.float64).tolist(), prediction.found.labels.tolist(),
                       strict=True)


def _masks(prediction: BoxPrediction) -> Sequence[Rle | None]:
    found = prediction.found
    return () if found is None else found.masks or [None] * len(found.scores)


def _sides(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _light(colour: str) -> bool:
    red, green, blue = (int(colour[place:place + 2], 16) for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140


def _nothing(_: str) -> None:
    return None


def predict_boxes(model: Model, images: Sequence[str | Path], *, listen: Listen = silent) -> list[BoxPrediction]:
    """Return what a detector finds in each image, in order, however unsure; `error` is set where one can't be read."""
    errors: dict[int, str] = {}
    found, sizes = detect(model, [Path(image) for image in images], listen=listen, errors=errors)
    return [BoxPrediction(str(image), None, None, errors[row]) if row in errors
            else BoxPrediction(str(image), sizes[row], found[row]) for row, image in enumerate(images)]


def upright(name: str) -> Image.Image | None:
    """Return the picture in a file as it was looked at, in colour; None where it can't be read."""
    try:
        return Image.fromarray(decode(Path(name)))
    except ImageError:
        return None  # its entry has the error


def shown(model: Model, predictions: Sequence[BoxPrediction]) -> list[BoxPrediction]:
    """Return the predictions with the boxes whose score reaches the threshold of their class."""
    task = model.task
    assert isinstance(task, Detection), task
    least = np.array(task.thresholds or [0.0] * len(model.classes))
    kept = []
    for one in predictions:
        if one.found is not None:
            sure = one.found.scores >= least[one.found.labels]
            one = replace(one, found=one.found.some(sure))
        kept.append(one)
    return kept
