"""Outlines: the exact edges of the pixels of a mask, from corner to corner of pixels.

Drawn again by the rule of `regions`, an outline gives the very same pixels.

# H height, W width in pixels, P corners of a ring
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label as connected


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of one patch: pixels that hang together by their sides.

    No ring meets itself, and two rings meet in single corners at most.
    """

    outer: np.ndarray
    """int64 [P, 2], x and y of its corners in pixels, clockwise as one sees it, from the leftmost of the topmost."""
    holes: tuple[np.ndarray, ...] = ()
    """The same of each hole in it, counterclockwise."""

    def joined(self) -> np.ndarray:
        """Return int64 [P, 2], one ring for formats without holes: each hole is entered and left by the same bridge.

        The bridge has no width, so that the even-odd rule draws the same pixels.
        """
        found = self.outer
        for hole in self.holes:
            place = int(np.abs(found - hole[0]).sum(axis=1).argmin())
            found = np.concatenate([found[:place + 1], hole, hole[:1], found[place:]])
        return found


def patches_of(region: np.ndarray) -> tuple[np.ndarray, int]:
    """Return for each pixel of bool [H, W] the number of its patch, int32 from 1, 0 where there is none; and how many.
    """
    patches, count = connected(region)
    return patches, int(count)


def outlines_of(region: np.ndarray) -> list[Outline]:
    """Return the outlines of the patches of bool [H, W], from top to bottom."""
    patches, count = patches_of(region)
    if not count:
        return []
    y, x, across, along = _corners(np.pad(region, 1), np.pad(patches, 1))
    outers: list[np.ndarray | None] = [None] * count
    holes: list[list[np.ndarray]] = [[] for _ in range(count)]
    for ring in _rings(across, along):
        corners = np.stack([x[ring], y[ring]], axis=1)
        left, top = corners[0].tolist()
        # What lies to the lower right of its first corner is inside the ring; what lies above, outside.
        if top < region.shape[0] and region[top, left]:
            outers[patches[top, left] - 1] = corners
        else:
            holes[patches[top - 1, left] - 1].append(corners[np.r_[0, len(corners) - 1:0:-1]])
    found = []
    for outer, inner in zip(outers, holes, strict=True):
        assert outer is not None, "each patch has one outer ring"
        found.append(Outline(outer, tuple(inner)))
    return found


def _corners(region: np.ndarray, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return y and x of each corner, by rows, and for each the corner at the other end of its edge in the row, and of
    that in the column. Where two pixels meet in a corner alone, it stands there twice.

    region, patches: [H, W] with a border of nothing around them.
    """
    a, b, c, d = region[:-1, :-1], region[:-1, 1:], region[1:, :-1], region[1:, 1:]
    twice = (a == d) & (b == c) & (a != b)
    once = a ^ b ^ c ^ d
    # Of one patch, the two pixels enclose something, and are joined at the corner; of two patches, they are kept apart.
    falling = twice & a
    joined = np.where(falling, patches[:-1, :-1] == patches[1:, 1:], patches[:-1, 1:] == patches[1:, :-1])
    # Turning off to the left and up, and to the right and down; or to the left and down, and to the right and up.
    up_first = twice & (falling != joined)
    kinds = once * 1 + twice * 2
    y, x = np.nonzero(kinds)
    times = kinds[y, x]
    y, x = np.repeat(y, times), np.repeat(x, times)
    second = np.zeros(len(y), np.int64)
    second[1:] = (y[1:] == y[:-1]) & (x[1:] == x[:-1])
    # By rows they are in order already: of two in one place, the first ends the edge from the left.
    across = _partners(np.arange(len(y)))
    below = np.where(up_first[y, x], second, 1 - second)
    along = _partners(np.lexsort((below, y, x)))
    return y, x, across, along


def _partners(order: np.ndarray) -> np.ndarray:
    """Return for each corner the one that it is paired with: the first with the second in this order, and so on."""
    found = np.empty(len(order), np.int64)
    found[order[::2]], found[order[1::2]] = order[1::2], order[::2]
    return found


def _rings(across: np.ndarray, along: np.ndarray) -> list[list[int]]:
    """Return the corners of each ring in turn: along the row, along the column, along the row, ..."""
    rows, columns = across.tolist(), along.tolist()
    left = bytearray(b"\1") * len(rows)
    found = []
    for start in range(len(rows)):
        if not left[start]:
            continue
        ring, place = [], start
        while left[place]:
            turn = rows[place]
            left[place] = left[turn] = 0
            ring += [place, turn]
            place = columns[turn]
        found.append(ring)
    return found
