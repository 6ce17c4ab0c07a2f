"""Truth: the objects of one image as arrays, and what must hold of detections before they are measured.

# G objects, K detections, C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.errors import DataError, listed
from headstart.metrics.boxes.overlap import areas
from headstart.types import Detections, Instance, Sample


@dataclass(frozen=True, slots=True)
class Truth:
    """What was marked in one image."""

    boxes: np.ndarray
    """float64 [G, 4], each a `Box`."""
    labels: np.ndarray
    """int64 [G] class indices."""
    areas: np.ndarray
    """float64 [G], square pixels: of the outline or mask where there is one (as COCO does), else of the box."""
    crowd: np.ndarray
    """bool [G]: holds many objects; any number of detections inside it are left out of the count."""
    ignored: np.ndarray
    """bool [G]: neither a hit nor a miss: crowds, and what Pascal VOC marks as difficult. One detection of a difficult
    object is left out; a second one on it is a false one, as on any object."""


def truth_of(objects: Sequence[Instance]) -> Truth:
    """Return the objects of one image as arrays; an empty sequence gives an image without objects."""
    boxes = np.array([item.box for item in objects], np.float64).reshape(-1, 4)
    sizes = areas(boxes)
    shaped = [_area(item) for item in objects]
    sizes = np.array([box if own is None else own for box, own in zip(sizes, shaped, strict=True)], np.float64)
    crowd = np.array([item.crowd for item in objects], bool)
    difficult = np.array([item.difficult for item in objects], bool)
    return Truth(boxes, np.array([item.label for item in objects], np.int64), sizes, crowd, crowd | difficult)


def truths_of(samples: Sequence[Sample]) -> list[Truth]:
    """Return the objects of each sample. Raises DataError where a sample was never marked (its objects are None)."""
    bare = [sample.id for sample in samples if sample.objects is None]
    if bare:
        raise DataError(f"{len(bare)} images have no marks at all, not even that they are empty:\n{listed(bare)}\n"
                        "Leave them out, or say that they show no object.")
    return [truth_of(sample.objects or ()) for sample in samples]


def _area(item: Instance) -> float | None:
    """Return the area of the outline or the mask; None where there is neither."""
    if item.rle is not None:
        return float(sum(item.rle.counts[1::2]))
    return sum(_enclosed(outline) for outline in item.polygons) if item.polygons else None


def _enclosed(outline: Sequence[float]) -> float:
    """Return the area inside an outline x0, y0, x1, y1, ... by the shoelace formula."""
    x, y = np.asarray(outline[::2], np.float64), np.asarray(outline[1::2], np.float64)
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def refuse_unfit(found: Sequence[Detections], truths: Sequence[Truth], classes: int) -> None:
    """Raise DataError where detections or objects can't be measured, naming the images by their position.

    Unfit are: another number of images, arrays of other lengths, numbers that are not finite, boxes whose right or
    bottom edge lies before the other, and classes outside 0..classes - 1.
    """
    if len(found) != len(truths):
        raise DataError(f"there are detections for {len(found)} images and objects for {len(truths)}. Give one of each "
                        "for every image, in the same order; an image without detections has an empty one.")
    wrong = [f"image {i}: {why}" for i, (said, true) in enumerate(zip(found, truths, strict=True))
             for what, boxes, labels, numbers in (("a detection", said.boxes, said.labels, said.scores),
                                                  ("an object", true.boxes, true.labels, true.areas))
             for why in [_unfit(what, boxes, labels, numbers, classes)] if why]
    if wrong:
        raise DataError(f"{len(wrong)} images have boxes that can't be measured:\n{listed(wrong)}\n"
                        "Detections like these come from weights that are damaged or diverged; objects, from "
                        "annotations that `headstart check` names.")


def _unfit(what: str, boxes: np.ndarray, labels: np.ndarray, numbers: np.ndarray, classes: int) -> str:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes) == len(labels) == len(numbers):
        return f"boxes of shape {boxes.shape} with {len(labels)} labels and {len(numbers)} numbers"
    if not (np.isfinite(boxes).all() and np.isfinite(numbers).all()):
        return f"{what} is NaN or infinite"
    if (boxes[:, 2:] < boxes[:, :2]).any():
        return f"{what} ends before it starts"
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        return f"{what} has a class outside 0..{classes - 1}"
    return ""
