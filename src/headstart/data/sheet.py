"""Sheet: one picture of many images with what is marked in them, to look at before anything is learnt from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from headstart.data.boxes import mend_box
from headstart.data.dataset import Dataset
from headstart.data.masks import BadMask
from headstart.data.pixel_classes import coloured, pixel_classes, resized_classes
from headstart.errors import ConfigError, DataError
from headstart.files import atomic_write
from headstart.images import ImageError, decode
from headstart.types import Mask, Sample

MOST = 40
CELL = 320
"""Pixels of the longer side of an image."""
LINE = 16
COLUMNS = 5
COLOURS = ("#d020d0", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000", "#808000", "#000075")
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def draw_sheet(dataset: Dataset, path: Path, *, most: int = MOST) -> str:
    """Write a picture of at most `most` images with boxes, outlines and class names, or with the classes of pixels in
    colour; return what was drawn, in words.

    Images with faulty boxes come first, these drawn in red; then others, evenly from all of the data, so that
    each class is seen. The same data give the same sheet. Raises ConfigError for another ending than .png or .jpg,
    DataError for data without objects or masks.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: a sheet is a .png or .jpg file.")
    if not dataset.whole:
        raise DataError(f"a sheet shows what is marked in images, and data for {dataset.task} have no marks. Leave "
                        "--sheet out.")
    cells = [cell for sample in chosen(dataset, most) if (cell := _cell(sample, dataset.classes))]
    if not cells:
        raise DataError("no image can be read, so that a sheet would be empty. Mend the files.")
    columns = min(COLUMNS, len(cells))
    sheet = Image.new("RGB", (columns * (CELL + 8), math.ceil(len(cells) / columns) * (CELL + LINE + 8)), "white")
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % columns * (CELL + 8), number // columns * (CELL + LINE + 8)))
    with atomic_write(path) as file:
        sheet.save(file, format=FORMATS[path.suffix.lower()])
    return f"{path}: {len(cells)} of {len(dataset)} images with their " + (
        "objects" if dataset.task == "detection" else "classes in colour")


def chosen(dataset: Dataset, most: int) -> list[Sample]:
    """Return which samples to show: of each class, the rarest first, one in turn, spread over the data."""
    counts = Counter(label for sample in dataset.samples for label in sample.label or ())  # type: ignore[union-attr]
    queues = [[row for row, sample in enumerate(dataset.samples) if label in (sample.label or ())]  # type: ignore[operator]
              for label in sorted(counts, key=lambda label: (counts[label], label))]
    queues.append([row for row, sample in enumerate(dataset.samples) if not sample.objects])
    spread = [_spread(queue) for queue in queues]
    faulty = [row for row, sample in enumerate(dataset.samples) if _is_faulty(sample)]
    rows = dict.fromkeys(faulty[:most // 2])
    for turn in range(max(map(len, spread), default=0)):
        rows.update(dict.fromkeys(queue[turn] for queue in spread if turn < len(queue)))
        if len(rows) >= most:
            break
    return [dataset.samples[row] for row in list(rows)[:most]]


def _spread(rows: Sequence[int]) -> list[int]:
    """Return the rows in the order of their bits reversed: any beginning of it is spread over all of them."""
    width = max(1, (len(rows) - 1).bit_length())
    return [rows[place] for place in (int(f"{n:0{width}b}"[::-1], 2) for n in range(1 << width)) if place < len(rows)]


def _is_faulty(sample: Sample) -> bool:
    size = sample.annotated or (1 << 30, 1 << 30)
    return any(mend_box(found.box, size)[1] for found in sample.objects or ())


def _cell(sample: Sample, classes: Sequence[str]) -> Image.Image | None:
    """Return one image with its objects and its name below it, or None where it can't be read."""
    try:
        picture = Image.fromarray(decode(sample.source))
    except ImageError:
        return None
    scale = CELL / max(picture.size)
    size = picture.height, picture.width
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    font = ImageFont.load_default(12)
    cell = Image.new("RGB", (CELL, CELL + LINE), "white")
    cell.paste(picture if sample.mask is None else _marked(picture, sample.mask, len(classes)))
    pen = ImageDraw.Draw(cell)
    for found in sample.objects or ():
        box, _ = mend_box(found.box, size)
        colour = COLOURS[found.label % len(COLOURS)] if box else "red"
        for outline in found.polygons:
            pen.line([edge * scale for edge in (*outline, *outline[:2])], fill=colour)
        left, top, right, bottom = (edge * scale for edge in box or _sorted(found.box))
        pen.rectangle((left, top, max(left + 2, right - 1), max(top + 2, bottom - 1)), outline=colour, width=2)
        name = classes[found.label] if found.label in range(len(classes)) else f"class {found.label}"
        name += "" if box else " (left out)"
        pen.text((left + 3, max(0, top - 1)), name, fill=colour, font=font, stroke_width=2, stroke_fill="white")
    pen.rectangle((0, CELL, CELL, CELL + LINE), fill="white")
    pen.text((2, CELL), sample.id[-50:], fill="black", font=font)
    return cell


def _marked(picture: Image.Image, mask: Mask, classes: int) -> Image.Image:
    """Return the picture with the colours of the classes on it; where nothing is marked, or can be read, as it is."""
    try:
        found = resized_classes(pixel_classes(mask), (picture.height, picture.width))
    except (BadMask, ImageError):
        return picture
    return coloured(picture, found, classes)


def _sorted(box: tuple[float, ...]) -> tuple[float, ...]:
    """Return a faulty box as one that can be drawn."""
    edges = [min(max(edge, -1e6), 1e6) if math.isfinite(edge) else 0.0 for edge in box]
    return (min(edges[0], edges[2]), min(edges[1], edges[3]), max(edges[0], edges[2]), max(edges[1], edges[3]))
