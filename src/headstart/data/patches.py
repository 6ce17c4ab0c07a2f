"""Patches: objects from the classes of pixels, and outlines along the pixels of an object."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.drawing import shown_in
from headstart.data.mask_sets import BACKGROUND
from headstart.data.masks import BadMask, box_of_polygons
from headstart.data.numbered import objects_by_number
from headstart.data.outlines import Outline, outlines_of, patches_of
from headstart.data.pixel_classes import pixel_classes
from headstart.data.regions import window_of
from headstart.errors import DataError, listed
from headstart.images import ImageError
from headstart.types import IGNORED, Instance, Sample

VOIDED = "void"
"""Class of the objects that stand for pixels of no class: read again, they are of no class."""

# H height, W width in pixels


def objects_of_masks(dataset: Dataset) -> Dataset:
    """Return the data with an object for each patch of a class: pixels that hang together by their sides.

    Of the class `background` there are none, since what no object takes is read as background again. Pixels of no class
    are objects of the class `void`. Raises DataError listing the masks that can't be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_objects, dataset.samples))
    broken = [one for one in found if isinstance(one, str)]
    if broken:
        raise DataError(f"{len(broken)} masks can't be used:\n{listed(broken)}\nMend them, or take them out.")
    grounds = {label for label, name in enumerate(dataset.classes) if name.casefold() == BACKGROUND}
    kept = [[one for one in own if one.label not in grounds] for own in found if not isinstance(own, str)]
    used = sorted({one.label for own in kept for one in own})
    if not used:
        raise DataError(f"{dataset.root or dataset.format}: the masks show nothing but `{BACKGROUND}`, of which there "
                        "are no objects.")
    place = {label: index for index, label in enumerate(used)}
    samples = []
    for sample, own in zip(dataset.samples, kept, strict=True):
        objects = tuple(replace(one, label=place[one.label]) for one in own)
        size = (objects[0].rle.height, objects[0].rle.width) if objects and objects[0].rle else None
        samples.append(replace(sample, label=tuple(sorted({one.label for one in objects})), objects=objects, mask=None,
                               annotated=size))
    notes = ["each patch of a class is an object" + ("; `background` is what no object takes" if grounds else ""),
             *([f"pixels of no class are objects of the class `{VOIDED}`, which Headstart reads as of no class; other "
                "tools may learn it"] if IGNORED in used else [])]
    classes = tuple(VOIDED if label == IGNORED else dataset.classes[label] for label in used)
    return replace(dataset, samples=tuple(samples), classes=classes, task="detection", notes=(*dataset.notes, *notes))


def _objects(sample: Sample) -> list[Instance] | str:
    """Return an object for each patch of each class, IGNORED among them; or why the mask can't be used."""
    assert sample.mask is not None, sample.id
    try:
        found = pixel_classes(sample.mask)
    except (ImageError, BadMask) as error:
        return f"{sample.id}: {error}"
    numbers, labels = np.zeros(found.shape, np.int32), [0]
    for label in np.unique(found).tolist():
        patches, count = patches_of(found == label)
        held = patches > 0
        numbers[held] = patches[held] + (len(labels) - 1)
        labels += [label] * count
    return [Instance(labels[number], box, rle=rle) for number, (rle, box) in objects_by_number(numbers).items()]


def traced(found: Instance, size: tuple[int, int]) -> list[Outline]:
    """Return the outlines, along the pixels, of what an object takes in a picture of H, W; nothing for a mere box."""
    if found.polygons:
        box = np.array(box_of_polygons(found.polygons)).reshape(2, 2)
        least, most = np.array([[0, 0], size[::-1]])
        left, top = np.clip(np.floor(box[0]), least, most).astype(int).tolist()
        right, bottom = np.clip(np.ceil(box[1]), least, most).astype(int).tolist()
        region = shown_in(found, (left, top, right, bottom))
    elif found.rle is not None:
        top, (left, region) = 0, window_of(found.rle)
    else:
        return []
    shift = np.array([left, top])
    return [Outline(one.outer + shift, tuple(hole + shift for hole in one.holes)) for one in outlines_of(region)]


def ring_of(outlines: list[Outline]) -> tuple[float, ...]:
    """Return x0, y0, x1, y1, ... of one ring that holds the pixels of all the outlines, by the even-odd rule."""
    first, *others = outlines
    # By the same bridges as holes: what is entered and left in one place adds its pixels where there were none.
    whole = Outline(first.outer, (*first.holes, *(ring for one in others for ring in (one.outer, *one.holes))))
    return tuple(map(float, whole.joined().ravel().tolist()))
