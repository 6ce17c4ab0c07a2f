"""Mask predictions as files: indexed PNGs, overlays, run lengths, CSV. One entry for each image that was asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.data.outlines import outlines_of
from headstart.data.pixel_classes import class_counts, coloured, palette
from headstart.data.run_lengths import encoded
from headstart.events import Listen, silent
from headstart.files import atomic_write, distinct_stems, write_json, write_text
from headstart.images import decode
from headstart.model import Model
from headstart.segmenting import segment

COLUMNS = ("image", "label", "pixels", "share", "error")


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """What a segmenter says of one image: the class of each pixel, or the error that says why there is none."""

    image: str
    """As it was asked for."""
    size: tuple[int, int] | None
    """Height and width of the upright picture; None where it could not be read."""
    png: bytes | None
    """The classes as an indexed PNG with a colour for each; small, however large the picture is."""
    pixels: tuple[int, ...] = ()
    """Of each class."""
    error: str | None = None

    @property
    def classes(self) -> np.ndarray | None:
        """uint8 [H, W], the class index of each pixel."""
        return None if self.png is None else np.asarray(Image.open(io.BytesIO(self.png)))


def predict_masks(model: Model, images: Sequence[str | Path], *, listen: Listen = silent) -> list[MaskPrediction]:
    """Return the class of each pixel of each image, in order; `error` is set where an image can't be read."""
    errors: dict[int, str] = {}
    colours, predictions = palette(len(model.classes)), []
    found = segment(model, [Path(image) for image in images], listen=listen, errors=errors)
    for row, (image, classes) in enumerate(zip(images, found, strict=True)):
        if row in errors:
            predictions.append(MaskPrediction(str(image), None, None, (), errors[row]))
        else:
            predictions.append(MaskPrediction(str(image), (classes.shape[0], classes.shape[1]), _png(classes, colours),
                                              tuple(class_counts(classes, len(model.classes)).tolist())))
    return predictions


def masks_json(predictions: Iterable[MaskPrediction], classes: Sequence[str]) -> dict[str, Any]:
    """Return {"classes", "predictions"}: of each image the classes that it shows, with their pixels as COCO's RLE."""
    entries = []
    for one in predictions:
        found = one.classes
        segments = [] if found is None else [
            {"label": classes[label], "pixels": one.pixels[label], "segmentation": run_lengths(found == label)}
            for label in np.flatnonzero(one.pixels).tolist()]
        entries.append({"image": one.image, "height": one.size[0] if one.size else None,
                        "width": one.size[1] if one.size else None, "segments": segments, "error": one.error})
    return {"classes": list(classes), "predictions": entries}


def masks_csv(predictions: Iterable[MaskPrediction], classes: Sequence[str]) -> str:
    """Return CSV, a row for each class of each image with its pixels and their share; one row for an error."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in predictions:
        if one.size is None:
            writer.writerow([one.image, "", "", "", one.error or ""])
            continue
        for name, count in zip(classes, one.pixels, strict=True):
            writer.writerow([one.image, name, count, f"{count / (one.size[0] * one.size[1]):.6f}", ""])
    return text.getvalue()


def masks_geojson(prediction: MaskPrediction, classes: Sequence[str]) -> dict[str, Any]:
    """Return a GeoJSON feature collection: of each class that the image shows its patches, with their holes.

    Coordinates are corners of pixels, x to the right and y downwards from the top left corner of the picture: the
    outlines are exact. Rings are closed, outer ones counterclockwise by these numbers (RFC 7946, section 3.1.6).
    """
    found = prediction.classes
    assert found is not None, "an image that could be read"
    features = []
    for label in np.flatnonzero(prediction.pixels).tolist():
        patches = [[_closed(outline.outer), *map(_closed, outline.holes)] for outline in outlines_of(found == label)]
        features.append({"type": "Feature", "properties": {"label": classes[label], "pixels": prediction.pixels[label]},
                         "geometry": {"type": "MultiPolygon", "coordinates": patches}})
    return {"type": "FeatureCollection", "image": prediction.image, "features": features}


def _closed(ring: np.ndarray) -> list[list[int]]:
    return [*ring.tolist(), ring[0].tolist()]


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Return COCO's uncompressed RLE of bool [H, W]: runs column by column, the first of zeros."""
    rle = encoded(mask)
    return {"size": [rle.height, rle.width], "counts": list(rle.counts)}


def write_masks(folder: Path, predictions: Sequence[MaskPrediction], classes: Sequence[str]) -> None:
    """Write into `folder`, each file whole or not at all: masks/NAME.png (numbers of classes, with a palette),
    overlays/NAME.jpg, polygons/NAME.geojson (the outlines of each class), predictions.json, predictions.csv, and
    legend.csv, which says which number and colour is what.
    """
    stems = distinct_stems([one.image for one in predictions])
    colours = palette(len(classes))
    for stem, one in zip(stems, predictions, strict=True):
        if one.png is None:
            continue
        with atomic_write(folder / "masks" / f"{stem}.png") as file:
            file.write(one.png)
        write_json(folder / "polygons" / f"{stem}.geojson", masks_geojson(one, classes))
        overlay = coloured(Image.fromarray(decode(Path(one.image))), np.asarray(one.classes), len(classes))
        with atomic_write(folder / "overlays" / f"{stem}.jpg") as file:
            overlay.save(file, format="JPEG", quality=90)
    write_json(folder / "predictions.json", masks_json(predictions, classes))
    write_text(folder / "predictions.csv", masks_csv(predictions, classes))
    legend = io.StringIO()
    csv.writer(legend, lineterminator="\n").writerows([
        ("name", "id", "red", "green", "blue"), *((name, label, *colours[label].tolist())
                                                 for label, name in enumerate(classes))])
    write_text(folder / "legend.csv", legend.getvalue())


def _png(classes: np.ndarray, colours: np.ndarray) -> bytes:
    image, file = Image.fromarray(classes), io.BytesIO()
    image.putpalette(colours.tobytes())
    image.save(file, "PNG", optimize=False)
    return file.getvalue()
