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
from headstart.types import IGNORED, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of

DIVISOR = 1000
"""A number // this is that of the class, where objects of several classes are numbered."""
LARGEST = 65_535
"""Number in 16 bits."""


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

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write a PNG for each image, and the legend. Raises DataError for objects without an outline, or too many."""
        notes = self._numbered(images, classes, folder) if self.instances else _indexed(images, classes, folder)
        if any(is_mask(image.file.parts) for image in images):
            notes.append("some images are called like masks; read them with --set 'reader.images=images/*' "
                         "--set 'reader.masks=masks/*'")
        return notes

    def _numbered(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        several = len(classes) > 1
        bare = [f"{image.sample.where or image.sample.id}: object {number} ({classes[found.label]})" for image in images
                for number, found in enumerate(image.objects, 1) if not (found.polygons or found.rle or found.crowd)]
        if bare:
            raise DataError(f"{len(bare)} objects have no outline that could be drawn:\n{listed(bare)}\nGive each one.")
        counts = [max(Counter(found.label if several else 0 for found in image.objects).values(), default=0)
                  for image in images]
        if max(counts) > LARGEST or (several and (max(counts) >= DIVISOR or len(classes) > LARGEST // DIVISOR - 1)):
            raise DataError(f"{len(classes)} classes, up to {max(counts)} objects of one in an image: a number of "
                            f"16 bits holds {LARGEST // DIVISOR - 1} classes with {DIVISOR - 1} objects, or one class "
                            f"with {LARGEST}. Write COCO.")
        hidden = list[bool]()
        for image in images:
            canvas, numbers, seen = np.zeros(image.size, np.uint16), dict[int, int](), Counter[int]()
            for place, found in enumerate(image.objects):
                if not found.crowd:
                    kind = found.label if several else 0
                    seen[kind] += 1
                    numbers[place] = (DIVISOR * (found.label + 1) if several else 0) + seen[kind]
            order = {id(found): place for place, found in enumerate(image.objects)}
            for found in layered([found for found in image.objects if not found.crowd]):
                paint(canvas, found, numbers[order[id(found)]])
            shown = set(np.unique(canvas).tolist())
            hidden += [place in numbers and numbers[place] not in shown for place in range(len(image.objects))]
            _save(Image.fromarray(canvas), folder, image)
        if several:
            _legend(folder, list(enumerate(classes, 1)))
        way = "--set reader.instances=true" + (f" --set reader.divisor={DIVISOR}" if several else
                                                f" --set 'reader.classes={classes[0]}'")
        found_all = objects_of(images)
        return [f"read them with {way}", *lost(images, "crowds are left out", [one.crowd for one in found_all]),
                *lost(images, "hidden by smaller ones, or without a pixel, and left out", hidden),
                *lost(images, "difficult is not kept", [one.difficult for one in found_all])]


def _indexed(images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
    colours, void = palette(len(classes)).tobytes(), False
    for image in images:
        assert image.sample.mask is not None, image.sample.id
        found = pixel_classes(image.sample.mask)
        if found.shape != image.size:
            raise DataError(f"{image.sample.id}: {image.size[1]}x{image.size[0]} pixels, its mask "
                            f"{found.shape[1]}x{found.shape[0]}.")
        void = void or bool((found == IGNORED).any())
        png = Image.fromarray(found)
        png.putpalette(colours)
        _save(png, folder, image)
    _legend(folder, [*enumerate(classes), *([(IGNORED, "void")] if void else [])])
    return []


def _save(png: Image.Image, folder: Path, image: Placed) -> None:
    with atomic_write(folder / "masks" / PurePosixPath(*image.file.parts[1:]).with_suffix(".png")) as file:
        png.save(file, format="PNG")


def _legend(folder: Path, rows: Sequence[tuple[int, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("id", "name"), *rows])
    write_text(folder / "legend.csv", text.getvalue())
