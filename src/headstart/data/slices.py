"""Slices: a large picture as overlapping parts of one size, so that small objects are not shrunk away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from headstart.data.boxes import mend_box
from headstart.data.drawing import shown_in
from headstart.data.regions import extents
from headstart.data.run_lengths import encoded
from headstart.errors import DataError
from headstart.part import NamedError, Part
from headstart.pixels import Window
from headstart.types import Instance

MOST = 20_000
"""Windows of a picture at most: more would take longer to merge than anyone waits."""


class Slices(Part):
    """How a picture is cut, in training as in prediction, and how what is found in the parts is merged.

    Source: Akyon et al., "Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection", ICIP 2022.
    """

    size: int = Field(640, ge=32, le=4096)
    """Height and width of a slice in pixels of the picture; a picture that is smaller is one slice."""
    overlap: float = Field(0.2, ge=0, lt=1)
    """Share of a slice that the next one sees, too, at the least. What is smaller than that is seen whole somewhere."""
    whole: bool = False
    """Look at the whole picture as well, shrunk: for objects that are larger than a slice."""
    merge: Literal["nms", "wbf"] = "nms"
    """What makes one box of several of an object: `nms` keeps the surest, `wbf` takes their mean, weighted by score."""
    iou: float = Field(0.5, gt=0, lt=1)
    """Intersection over union from which two boxes of a class are of one object."""

    @property
    def shared(self) -> int:
        """Pixels that a slice has in common with the next one, at the least."""
        return math.ceil(self.overlap * self.size)

    def windows(self, size: tuple[int, int], *, name: str = "a picture") -> list[Window]:
        """Return the parts of a picture of this height and width that are looked at, row by row.

        All slices have one size: the last of a row and of a column is pushed back to the edge. With `whole`, the whole
        picture comes last, unless it is one slice. name: of the picture, for messages.
        Raises DataError where there would be more than 20,000.
        """
        height, width = size
        tops, lefts = (self._starts(side) for side in size)
        if len(tops) * len(lefts) > MOST:
            raise DataError(f"{name}: {width}x{height} pixels would be {len(tops) * len(lefts):,} slices of "
                            f"{self.size} pixels with an overlap of {self.overlap:g}; {MOST:,} are the most. Raise "
                            "slices.size, or lower slices.overlap.")
        found = [(left, top, min(left + self.size, width), min(top + self.size, height))
                 for top in tops for left in lefts]
        return [*found, (0, 0, width, height)] if self.whole and len(found) > 1 else found

    def _starts(self, side: int) -> list[int]:
        """Return where the slices of a side of so many pixels begin."""
        step = max(1, self.size - self.shared)
        last = max(0, side - self.size)
        return [*range(0, last, step), last]


def _by_size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | dict | Slices):
        raise NamedError("slices: write a number of pixels, or {size: 640, overlap: 0.2} (--set slices=640 --set "
                         f"slices.overlap=0.2); got {value!r}.")
    return {"size": value} if isinstance(value, int) else value


ChosenSlices = Annotated[Slices, BeforeValidator(_by_size)]
"""A number stands for {size: number}."""


def seen_through(window: Window, objects: Sequence[Instance], *, masks: bool = False) -> tuple[Instance, ...]:
    """Return the objects that show in a window, their boxes clipped to it and counted from its corner.

    Less than 10% of a box (`boxes.LEAST_LEFT`), or a side of less than a pixel, is no object there. Outlines are let
    go; with `masks` each becomes the pixels that show, the box around them: where there are none, there is no object.
    """
    left, top, right, bottom = window
    found = []
    for one in objects:
        x0, y0, x1, y1 = one.box
        if x1 > left and y1 > top and x0 < right and y0 < bottom:
            box, _ = mend_box((x0 - left, y0 - top, x1 - left, y1 - top), (bottom - top, right - left))
            if box is None:
                continue
            part: Instance | None = Instance(one.label, box, crowd=one.crowd, difficult=one.difficult)
            if masks and (one.polygons or one.rle):
                part = _with_pixels(one, window)
            found += [part] if part else []
    return tuple(found)


def _with_pixels(one: Instance, window: Window) -> Instance | None:
    """Return an object that has an outline or a mask with the pixels that show in a window; None where none do."""
    held = shown_in(one, window)
    if not held.any():
        return None
    box = extents(held[None])[0].tolist()
    return Instance(one.label, (box[0], box[1], box[2], box[3]), one.crowd, one.difficult, rle=encoded(held))
