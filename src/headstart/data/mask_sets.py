"""Mask sets: from images with a mask each, in files or drawn from marked objects, to a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.legends import MOST, VOID
from headstart.data.masks import BadMask
from headstart.data.pixel_classes import class_counts, pixel_classes, relabelled
from headstart.data.sizes import sizes_of
from headstart.errors import ConfigError, DataError, listed
from headstart.images import ImageError, size_of
from headstart.types import IGNORED, Instance, MaskShapes, Sample

Faulty = Literal["refuse", "drop"]
BACKGROUND = "background"
"""Class of the pixels that no object takes."""
BAD = " (bad_mask: "
"""What readers put behind the name of an object whose outline or mask they left aside."""


def with_masks(dataset: Dataset, problems: Sequence[str], *, faulty: Faulty, advice: str) -> Dataset:
    """Return the data with the classes that each mask shows as the labels of its image; classes without a pixel go.

    Each mask is looked at once, and not kept. problems: images that have no mask already, a line for each.
    Raises DataError listing the images whose mask can't be used, unless these are dropped. advice: how to mend them.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda sample: _labelled(sample, len(dataset.classes)), dataset.samples))
    wrong = [*problems, *(one for one in found if isinstance(one, str))]
    said = refused(dataset.root or dataset.format, wrong, len(found) + len(problems), faulty=faulty, advice=advice)
    return _without_unused(replace(dataset, samples=tuple(one for one in found if isinstance(one, Sample)),
                                   notes=(*dataset.notes, *said)))


def refused(where: object, wrong: Sequence[str], total: int, *, faulty: Faulty, advice: str) -> list[str]:
    """Return that so many images are left out, whose mask can't be used; nothing where all can.

    wrong: a line for each. total: of images. Raises DataError naming them unless these images are dropped.
    """
    if wrong and faulty == "refuse":
        raise DataError(f"{where}: {len(wrong)} of {total} images have no mask that can be used:\n"
                        f"{listed(wrong, shown=20)}\n{advice}, or leave these images out with --set "
                        "reader.faulty=drop.")
    return [f"{len(wrong)} images left out, whose mask can't be used:\n{listed(wrong)}"] if wrong else []


def for_task(dataset: Dataset, task: str | None, *, faulty: Faulty) -> Dataset:
    """Return data with marked objects as they are, or with the class of each pixel where the task is `semantic`.

    Raises ConfigError for `faulty` where it has no effect.
    """
    if task == "semantic":
        return drawn_from_objects(dataset, faulty=faulty)
    if faulty == "drop":
        raise ConfigError("reader.faulty: has no effect on boxes; it is for outlines that are read as the classes of "
                          "pixels (--task semantic; --set task=semantic for adapt). Leave it out.")
    return dataset


def drawn_from_objects(dataset: Dataset, *, faulty: Faulty) -> Dataset:
    """Return the data with a mask for each image, drawn from the outlines and run lengths of its objects.

    What no object takes is `background`, a class at the front unless one has that name. Crowds, and objects of a class
    called void, ignore or the like, are of no class. Raises DataError naming each image with an object that has no
    outline, or whose annotation is of a picture of another size, unless these images are dropped.
    """
    kept = [name for name in dataset.classes if name.casefold().strip("_") not in VOID]
    own = next((name for name in kept if name.casefold() == BACKGROUND), None)
    classes = tuple(kept) if own else (BACKGROUND, *kept)
    if len(classes) > MOST:
        raise DataError(f"{dataset.root or dataset.format}: {len(classes)} classes; {MOST} are the most that pixels "
                        "can have. Leave some out.")
    place = [classes.index(name) if name in classes else IGNORED for name in dataset.classes]
    unmarked = classes.index(own or BACKGROUND)
    samples, problems = list[Sample](), list[str]()
    for sample, size in zip(dataset.samples, sizes_of([sample.source for sample in dataset.samples]), strict=True):
        wrong = _bare(sample, dataset.classes)
        if wrong:
            problems.append(wrong)
            continue
        objects = tuple(_outlined(found, place[found.label]) for found in sample.objects or ())
        # A picture that can't be read is left to the check, which says so.
        shape = sample.annotated or (size if isinstance(size, tuple) else (1, 1))
        samples.append(replace(sample, objects=None, annotated=None, mask=MaskShapes(objects, shape, unmarked)))
    bad = [line for line in dataset.ignored if BAD in line]
    advice = "Give each object an outline" + (
        f" ({len(bad)} outlines or masks can't be used:\n{listed(bad)}\n)" if bad else "")
    void = [name for name in dataset.classes if name not in classes]
    notes = [f"pixels that no object takes are `{own or BACKGROUND}`; smaller objects lie over larger ones, crowds are "
             "ignored", *([f"pixels of {', '.join(void)} are ignored"] if void else [])]
    return with_masks(replace(dataset, samples=tuple(samples), classes=classes, task="semantic",
                              notes=(*dataset.notes, *notes)), problems, faulty=faulty, advice=advice)


def _bare(sample: Sample, classes: Sequence[str]) -> str:
    """Return which objects of an image have no outline and no mask, in a line; nothing where all have one."""
    bare = [(number, found) for number, found in enumerate(sample.objects or (), 1)
            if not (found.polygons or found.rle or found.crowd)]
    if not bare:
        return ""
    number, found = bare[0]
    many = f", and {len(bare) - 1} more" if len(bare) > 1 else ""
    return (f"{sample.where or sample.id}: object {number} ({classes[found.label]} at "
            f"{', '.join(f'{edge:g}' for edge in found.box)}{many}) has a box, but no outline that can be used")


def _outlined(found: Instance, label: int) -> Instance:
    """Return the object with another label, and a crowd that has only a box with its outline."""
    if found.polygons or found.rle:
        return replace(found, label=label)
    left, top, right, bottom = found.box
    return replace(found, label=label, polygons=((left, top, right, top, right, bottom, left, bottom),))


def _labelled(sample: Sample, classes: int) -> Sample | str:
    """Return the sample with its labels, or what is wrong with its mask in a line.

    An image that can't be read is left to the check.
    """
    assert sample.mask is not None, sample.id
    try:
        found = pixel_classes(sample.mask)
    except (ImageError, BadMask) as error:
        return f"{sample.id}: {error}"
    try:
        size = size_of(sample.source)
    except ImageError:
        size = (found.shape[0], found.shape[1])
    if size != found.shape:
        turned = " (turned on its side; does the image have an EXIF orientation?)" if size == found.shape[::-1] else ""
        return f"{sample.id}: {size[1]}x{size[0]} pixels, its mask {found.shape[1]}x{found.shape[0]}{turned}"
    return replace(sample, label=tuple(np.flatnonzero(class_counts(found, classes)).tolist()))


def _without_unused(dataset: Dataset) -> Dataset:
    """Return the data without the classes of which there is no pixel."""
    used = sorted({label for sample in dataset.samples for label in sample.label or ()})  # type: ignore[union-attr]
    if len(used) == len(dataset.classes):
        return dataset
    place = {label: index for index, label in enumerate(used)}
    unused = [name for label, name in enumerate(dataset.classes) if label not in place]
    masks = relabelled([sample.mask for sample in dataset.samples if sample.mask is not None], place)
    samples = [replace(sample, label=tuple(place[label] for label in sample.label or ()), mask=mask)  # type: ignore[union-attr]
               for sample, mask in zip(dataset.samples, masks, strict=True)]
    said = f"classes of which there is no pixel, left out: {', '.join(unused)}"
    return replace(dataset, samples=tuple(samples), classes=tuple(dataset.classes[label] for label in used),
                   notes=(*dataset.notes, said))
