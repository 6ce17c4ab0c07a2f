"""Mask objects: what is marked in masks whose numbers count the objects of an image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from headstart.data.annotations import Marked, Picture
from headstart.data.legends import Legend
from headstart.data.masks import BadMask
from headstart.data.numbered import objects_by_number
from headstart.errors import ConfigError
from headstart.images import ImageError, decode_values, size_of
from headstart.types import ImageSource

OBJECT = "object"
"""Class of objects of which nothing says what they are."""


@dataclass(frozen=True)
class Numbering:
    """What the number of an object says of its class."""

    ignored: frozenset[int]
    """Numbers that are no object."""
    divisor: int | None = None
    """Number // divisor is that of the class; a smaller number is no object. None: all are of one class."""
    names: Mapping[int, str] | None = None
    """By number of the class; None: named by these numbers."""
    void: frozenset[int] = frozenset()
    """Numbers of what is no class."""
    name: str = OBJECT
    """Of the one class."""

    def named(self, number: int) -> str | None:
        """Return the class of an object, or None where the number is no object. Raises BadMask for an unknown class."""
        if number in self.ignored:
            return None
        if self.divisor is None:
            return self.name
        kind = number // self.divisor
        if kind == 0 or kind in self.void:
            return None
        if self.names is None:
            return f"class {kind}"
        if kind not in self.names:
            raise BadMask(f"the object {number} is of the class {kind}, which has no name")
        return self.names[kind]


def numbering_of(legend: Legend | None, words: Sequence[str], *, ignored: frozenset[int],
                 divisor: int | None) -> Numbering:
    """Return what the numbers say: with a divisor as the legend has it, else that all are of the class in `words`.

    Raises ConfigError for several names without a divisor, and for a legend of colours.
    """
    if divisor is None:
        if len(words) > 1:
            raise ConfigError("reader.classes: where each number is one object, name one class, such as "
                              "reader.classes=person; or give each its class in its number, as number // 1000: "
                              "--set reader.divisor=1000.")
        return Numbering(ignored, name=words[0] if words else OBJECT)
    if legend is not None and legend.colours:
        raise ConfigError("reader.divisor: the legend has colours, where the classes of objects have numbers.")
    names = None if legend is None else {value: name for value, name in legend.names if value not in legend.void}
    return Numbering(ignored, divisor, names, legend.void if legend else frozenset())


def with_objects(pictures: Sequence[Picture], masks: Sequence[ImageSource],
                 numbering: Numbering) -> tuple[list[Picture], list[str]]:
    """Return the pictures with the objects of their masks, and a line for each whose mask can't be used."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda row: _marked(pictures[row], masks[row], numbering), range(len(pictures))))
    return [one for one in found if isinstance(one, Picture)], [one for one in found if isinstance(one, str)]


def _marked(picture: Picture, mask: ImageSource, numbering: Numbering) -> Picture | str:
    try:
        values = decode_values(mask)
        found = objects_by_number(values)
        if 255 in found and len(found) > 1 and 254 not in found and 255 not in numbering.ignored:
            raise BadMask("255 beside other numbers. Is it the edge of the objects, or what is of no class? Then --set "
                          "reader.ignore=255")
        objects = tuple(Marked(name, box, rle=rle) for number, (rle, box) in found.items()
                        if (name := numbering.named(number)) is not None)
    except (ImageError, BadMask) as error:
        return f"{picture.id}: {error}"
    shape = values.shape[0], values.shape[1]
    try:
        size = size_of(picture.source)
    except ImageError:  # which the check says
        size = shape
    if size != shape:
        return f"{picture.id}: {size[1]}x{size[0]} pixels, its mask {shape[1]}x{shape[0]}"
    return replace(picture, objects=objects, annotated=shape)
