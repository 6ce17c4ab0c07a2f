"""Masks: outlines and run lengths as files have them, validated before anything computes with them.

# H height, W width in pixels

Native code has crashed on each of the faults that are refused here; nothing that passes can reach past its mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headstart.images import MAX_PIXELS
from headstart.types import Box, Rle

Polygons = tuple[tuple[float, ...], ...]
FAR = 1e6
"""Farthest that a coordinate may lie where the size of the picture is not known."""
FIRST, LAST, DIGIT, SIGN, MORE = 48, 111, 0x1F, 0x10, 0x20
LONGEST = 7
"""Characters of one run: 35 bits, more than any mask has pixels."""


class BadMask(ValueError):
    """A mask that can't be used; the message says why."""


def polygons_of(value: Any, size: tuple[int, int] | None) -> Polygons:
    """Return outlines from a list of flat lists x0, y0, x1, y1, ...

    size: H, W of the picture where known; each point must lie inside the picture enlarged by itself on each side.
    Raises BadMask for anything else.
    """
    if not isinstance(value, list | tuple) or not value:
        raise BadMask("the outline is no list of points")
    return tuple(_polygon(part, size) for part in value)


def _polygon(value: Any, size: tuple[int, int] | None) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not set(map(type, value)) <= {int, float}:
        raise BadMask("an outline holds something that is no number")
    if len(value) < 6 or len(value) % 2:
        raise BadMask(f"an outline of {len(value)} numbers, where three points or more have 6, 8, 10, ...")
    height, width = size or (FAR, FAR)
    points = tuple(map(float, value))
    across, down = points[::2], points[1::2]
    # Of NaN, no comparison would tell.
    if not all(map(math.isfinite, points)) or min(across) < -width or max(across) > 2 * width \
            or min(down) < -height or max(down) > 2 * height:
        raise BadMask("an outline leads far out of the picture")
    return points


def rle_of(value: Any, size: tuple[int, int] | None) -> Rle:
    """Return a mask from {"size": [H, W], "counts": [...] or "..."}; the text is COCO's compressed form.

    size: H, W of the picture where known, which the mask must have. Raises BadMask where runs and size don't agree.
    """
    found = value.get("size") if isinstance(value, dict) else None
    if not isinstance(found, list | tuple) or len(found) != 2 or not all(_is_whole(n) and n > 0 for n in found):
        raise BadMask("the mask has no size of two whole numbers")
    height, width = found
    if height * width > MAX_PIXELS:
        raise BadMask(f"a mask of {width}x{height} pixels is larger than any picture that is read")
    if size is not None and size != (height, width):
        raise BadMask(f"the mask has {width}x{height} pixels, the picture {size[1]}x{size[0]}")
    counts = value.get("counts")
    runs = runs_of_text(counts, most=height * width) if isinstance(counts, str) else counts
    if not isinstance(runs, list | tuple) or not set(map(type, runs)) <= {int} \
            or min(runs, default=0) < 0:
        raise BadMask("the runs of the mask are no whole numbers of 0 or more")
    if sum(runs) != height * width:
        raise BadMask(f"the runs of the mask add up to {sum(runs)}, not to {width}x{height}")
    return Rle(height, width, tuple(runs))


def runs_of_text(text: str, *, most: int) -> list[int]:
    """Return the run lengths in COCO's compressed text.

    A number is written in groups of five bits, the lowest first, a character each: 48 + group, and 32 more where
    another follows; bit 16 of the last is the sign. From the fourth run on, what is written is the difference to the
    run two before. most: pixels of the mask. Raises BadMask for a character, a number or a run that can't be.
    """
    runs: list[int] = []
    value = length = 0
    for character in text:
        group = ord(character) - FIRST
        if not 0 <= group <= LAST - FIRST or length == LONGEST:
            raise BadMask("the compressed runs of the mask are damaged")
        value |= (group & DIGIT) << 5 * length
        length += 1
        if group & MORE:
            continue
        if group & SIGN:
            value -= 1 << 5 * length
        run = value + (runs[-2] if len(runs) > 2 else 0)
        if not 0 <= run <= most:
            raise BadMask("the compressed runs of the mask are damaged")
        runs.append(run)
        value = length = 0
    if length:
        raise BadMask("the compressed runs of the mask stop early")
    return runs


def box_of_polygons(polygons: Sequence[Sequence[float]]) -> Box:
    """Return the box around all points."""
    across = [x for points in polygons for x in points[::2]]
    down = [y for points in polygons for y in points[1::2]]
    return min(across), min(down), max(across), max(down)


def box_of_rle(rle: Rle) -> Box:
    """Return the box around the pixels of a mask. Raises BadMask for one without any."""
    start, left, top, right, bottom = 0, rle.width, rle.height, 0, 0
    for number, run in enumerate(rle.counts):
        if number % 2 and run:
            first, last = start, start + run - 1
            left, right = min(left, first // rle.height), max(right, last // rle.height + 1)
            one_column = first // rle.height == last // rle.height
            top = min(top, first % rle.height if one_column else 0)
            bottom = max(bottom, last % rle.height + 1 if one_column else rle.height)
        start += run
    if right <= left:
        raise BadMask("the mask is empty")
    return float(left), float(top), float(right), float(bottom)


def area_of_polygons(polygons: Sequence[Sequence[float]]) -> float:
    """Return the sum of the areas inside the outlines, in pixels (Gauss's formula)."""
    return sum(abs(sum(p[i] * p[(i + 3) % len(p)] - p[(i + 2) % len(p)] * p[i + 1] for i in range(0, len(p), 2))) / 2
               for p in polygons)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
