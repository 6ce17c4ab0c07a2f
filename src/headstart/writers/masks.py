"""Masks: a PNG of numbers beside each image, images/ and masks/, and legend.csv, which says what the numbers mean."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from headstart.data.drawing import layered, paint
from headstart.data.mask_pairs import is_mask
from headstart.data.pixel_classes import palette, pixel_classes
from headstart.errors import DataError, listed
from headstart.files import atomic_write, write_text
from headstart.types import IGNORED, Instance, MaskShapes, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of

DIVISOR = 1000
"""A number // this is that of the class, where objects of several classes are numbered."""
LARGEST = 65_535
"""Number in 16 bits."""
HIDDEN = "hidden by smaller ones, or without a pixel, and left out"


class Masks(Writer):
    """Indexed PNGs of the classes of pixels; or 16 bits that number the objects."""

    instances: bool = False
    """Whether each object gets a number of its own: 1, 2, 3, ..., of several classes 1001, 1002, ..., 2001, ..."""

    @property
    def task(self) -> str:
        """Return `semantic`, or `detection` where objects are numbered."""
        return "detection" if self.instances else "semantic"

    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return images/<split>/<name>."""
        return PurePosixPath("images", *([split] if split else []), name)

    def facts(self, images: Sequence[Placed], classes: Sequence[str]) -> list[str]:
        """Return what the numbers mean, and how to read the masks where that is not found out."""
        if self.instances:
            said = ["read them with --set reader.instances=true" + (
                f" --set reader.divisor={DIVISOR}" if len(classes) > 1 else "")]
        else:
            said = ["numbers of the classes: " + ", ".join(f"{number} {name}" for number, name in enumerate(classes))]
        named = "read them with --set 'reader.images=images/*' --set 'reader.masks=masks/*': some images are called " \
            "like masks"
        return [*said, *([named] if any(is_mask(image.file.parts) for image in images) else [])]

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write a PNG for each image, and the legend. Raises DataError for objects without an outline, or too many."""
        return _numbered(images, classes, folder) if self.instances else _indexed(images, classes, folder)


def _numbered(images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
    several = len(classes) > 1
    _refuse_unnumbered(images, classes)
    hidden = list[bool]()
    for image in images:
        seen, numbers = Counter[int](), list[int]()
        for found in image.objects:
            kind = found.label + 1 if several else 0
            seen[kind] += not found.crowd
            numbers.append(0 if found.crowd else DIVISOR * kind + seen[kind])
        canvas = _painted(image.objects, numbers, image.size)
        shown = set(np.unique(canvas).tolist())
        hidden += [number > 0 and number not in shown for number in numbers]
        _save(Image.fromarray(canvas.astype(np.uint16)), folder, image)
    _legend(folder, list(enumerate(classes, 1)))
    found_all = objects_of(images)
    return [*lost(images, "crowds are left out", [one.crowd for one in found_all]), *lost(images, HIDDEN, hidden),
            *lost(images, "difficult is not kept", [one.difficult for one in found_all])]


def _refuse_unnumbered(images: Sequence[Placed], classes: Sequence[str]) -> None:
    """Raise DataError for objects that can't be drawn, and for more than 16 bits can number."""
    bare = [f"{image.sample.where or image.sample.id}: object {number} ({classes[found.label]})" for image in images
            for number, found in enumerate(image.objects, 1) if not (found.polygons or found.rle or found.crowd)]
    if bare:
        raise DataError(f"{len(bare)} objects have no outline and no mask that could be drawn:\n{listed(bare)}\n"
                        "Give each an outline (`headstart check` says which can't be used), or write coco or voc.")
    several, kinds = len(classes) > 1, LARGEST // DIVISOR - 1
    most = max(max(Counter(found.label if several else 0 for found in image.objects).values(), default=0)
               for image in images)
    if most > LARGEST or (several and (most >= DIVISOR or len(classes) > kinds)):
        raise DataError(f"{len(classes)} classes, up to {most} objects of one in an image: a number of 16 bits holds "
                        f"{kinds} classes with {DIVISOR - 1} objects, or one class with {LARGEST}. Write coco.")


def _painted(objects: Sequence[Instance], numbers: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Return int32 [H, W], the number of the object that each pixel shows, smaller ones on top; those of 0 are not."""
    canvas = np.zeros(size, np.int32)
    number_of = {id(found): number for found, number in zip(objects, numbers, strict=True)}
    for found in layered([found for found in objects if number_of[id(found)]]):
        paint(canvas, found, number_of[id(found)])
    return canvas


def _indexed(images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
    colours, void, hidden = palette(len(classes)).tobytes(), False, 0
    for image in images:
        assert image.sample.mask is not None, image.sample.id
        found = pixel_classes(image.sample.mask)
        if found.shape != image.size:
            raise DataError(f"{image.sample.id}: {image.size[1]}x{image.size[0]} pixels, its mask "
                            f"{found.shape[1]}x{found.shape[0]}.")
        if isinstance(image.sample.mask, MaskShapes):
            numbers = [0 if one.crowd else number for number, one in enumerate(image.sample.mask.objects, 1)]
            shown = np.unique(_painted(image.sample.mask.objects, numbers, image.size))
            hidden += int(np.count_nonzero(numbers)) - int(np.count_nonzero(shown))
        void = void or bool((found == IGNORED).any())
        png = Image.fromarray(found)
        png.putpalette(colours)
        _save(png, folder, image)
    _legend(folder, [*enumerate(classes), *([(IGNORED, "void")] if void else [])])
    return [f"{hidden} objects: {HIDDEN}"] if hidden else []


def _save(png: Image.Image, folder: Path, image: Placed) -> None:
    with atomic_write(folder / "masks" / PurePosixPath(*image.file.parts[1:]).with_suffix(".png")) as file:
        png.save(file, format="PNG")


def _legend(folder: Path, rows: Sequence[tuple[int, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("id", "name"), *rows])
    write_text(folder / "legend.csv", text.getvalue())
