"""Run lengths: masks as the spans of their pixels, column by column, and what two of them share.

# H height, W width in pixels, K and G masks, S spans
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.data.masks import DIGIT, FIRST, MORE, SIGN
from headstart.data.regions import decoded
from headstart.pixels import Window
from headstart.types import Rle


def encoded(mask: np.ndarray, corner: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> Rle:
    """Return the run lengths of bool [h, w], as it lies in a picture.

    corner: row and column of its first pixel there. size: H, W of the picture; None: the mask is all of it.
    """
    height, width = size or (mask.shape[0], mask.shape[1])
    framed = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    framed[:, 1:-1] = mask.T
    steps = np.diff(framed, axis=1)
    (column, begin), (_, end) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    offset = (corner[1] + column) * height + corner[0]
    starts, ends = offset + begin, offset + end
    # What reaches the bottom of a column goes on at the top of the next.
    gap = starts[1:] != ends[:-1]
    starts, ends = np.append(starts[:1], starts[1:][gap]), np.append(ends[:-1][gap], ends[-1:])
    runs = np.diff([0, *np.stack([starts, ends], axis=1).ravel().tolist(), height * width]).tolist()
    return Rle(height, width, tuple(runs[:-1] if len(runs) > 1 and not runs[-1] else runs))


def compressed(mask: Rle) -> str:
    """Return COCO's compressed text of the run lengths, which its evaluation wants; `masks.runs_of_text` reads it.

    From the fourth run on the difference to the run two before is written, in groups of five bits, the lowest first.
    """
    found = []
    for place, run in enumerate(mask.counts):
        value = run - mask.counts[place - 2] if place > 2 else run
        while True:
            group = value & DIGIT
            value >>= 5
            # The highest bit of the last group is the sign.
            last = value == (-1 if group & SIGN else 0)
            found.append(chr(FIRST + group + (0 if last else MORE)))
            if last:
                break
    return "".join(found)


def united(parts: Sequence[tuple[Rle, Window]], size: tuple[int, int]) -> Rle:
    """Return the pixels that any of several masks holds, of which each is of a window of a picture of H, W."""
    left, top = (min(window[side] for _, window in parts) for side in (0, 1))
    right, bottom = (max(window[side] for _, window in parts) for side in (2, 3))
    held = np.zeros((bottom - top, right - left), bool)
    for mask, window in parts:
        held[window[1] - top:window[3] - top, window[0] - left:window[2] - left] |= decoded(mask)
    return encoded(held, (top, left), size)


def area(mask: Rle) -> int:
    """Return the number of its pixels."""
    return sum(mask.counts[1::2])


def overlap(found: Sequence[Rle], true: Sequence[Rle], crowd: np.ndarray) -> np.ndarray:
    """Return float64 [K, G] in 0..1: intersection over union in pixels, 0 where both are empty.

    crowd: bool [G]; against a crowd the union is the found mask alone (the rule of COCO's evaluation).
    No picture is decoded: the pixels of a true mask before any place are a line with corners at its spans.
    """
    spans = [_spans(mask) for mask in found]
    own = np.array([area(mask) for mask in found], np.float64)
    shares = np.zeros((len(found), len(true)))
    edges = np.concatenate([np.zeros((2, 0), np.int64), *spans], axis=1)
    owner = np.repeat(np.arange(len(found)), [span.shape[1] for span in spans])
    for column, mask in enumerate(true):
        places = np.concatenate([[0], np.cumsum(mask.counts)])
        pixels = np.concatenate([[0], np.cumsum(np.where(np.arange(len(mask.counts)) % 2, mask.counts, 0))])
        inside = np.interp(edges[1], places, pixels) - np.interp(edges[0], places, pixels)
        common = np.bincount(owner, weights=inside, minlength=len(found))
        union = own if crowd[column] else own + area(mask) - common
        shares[:, column] = np.divide(common, union, out=np.zeros(len(found)), where=union > 0)
    return shares


def _spans(mask: Rle) -> np.ndarray:
    """Return int64 [2, S], first place and the place behind the last of each span, counted column by column."""
    ends = np.cumsum(mask.counts)
    return np.stack([ends[:-1][::2], ends[1::2]]) if len(ends) > 1 else np.zeros((2, 0), np.int64)
