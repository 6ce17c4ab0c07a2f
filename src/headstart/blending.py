"""Blending: what is said of the overlapping slices of a picture as the class of each of its pixels, without seams.

# C classes, H and W pixels of the picture, h and w of a slice
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from headstart.pixels import Window


def blended(parts: Iterable[torch.Tensor], windows: Sequence[Window], size: tuple[int, int], *, margin: int
            ) -> np.ndarray:
    """Return uint8 [H, W], the class with the largest sum over slices of weight x probability.

    The weight of a slice falls linearly towards each of its edges, over `margin` pixels, but not towards those of the
    picture: where two slices meet, the one whose middle is nearer says more, and none ends abruptly.
    parts: probabilities float32 [C, h, w] of each window, in the order of `windows`, which go row by row of slices, as
    `Slices.windows` gives them; they are taken one after the other. In memory is one row of slices: C x h x W floats.
    """
    height, width = size
    found = np.empty((height, width), np.uint8)
    rows = [list(group) for _, group in itertools.groupby(windows, key=lambda window: window[1])]
    remaining = iter(parts)
    carried: torch.Tensor | None = None
    for number, row in enumerate(rows):
        top, bottom = row[0][1], row[0][3]
        band: torch.Tensor | None = None
        for window in row:
            part = next(remaining)
            if band is None:
                band = part.new_zeros(len(part), bottom - top, width)
                if carried is not None:
                    band[:, :carried.shape[1]] = carried
            band[:, :, window[0]:window[2]] += part * _weight(window, size, margin)
        assert band is not None, "a row has slices"
        end = rows[number + 1][0][1] if number + 1 < len(rows) else height
        found[top:end] = band[:, :end - top].argmax(dim=0).to(torch.uint8).numpy()
        carried = band[:, end - top:].clone()
    return found


def own_parts(windows: Sequence[Window]) -> list[Window]:
    """Return of each window the part in which it says the most: overlaps are halved; all parts make up the picture.

    windows: all of a picture, of one size, as `Slices.windows` gives them. Edges are those of the picture.
    """
    across, down = (_halved(sorted({(window[low], window[low + 2]) for window in windows})) for low in (0, 1))
    return [(across[left][0], down[top][0], across[left][1], down[top][1]) for left, top, _, _ in windows]


def _halved(spans: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Return {start: (start, end)} of what is left of each span when overlaps with neighbours are halved."""
    cuts = [spans[0][0], *((later[0] + earlier[1]) // 2 for earlier, later in itertools.pairwise(spans)), spans[-1][1]]
    return {start: cut for (start, _), cut in zip(spans, itertools.pairwise(cuts), strict=True)}


def _weight(window: Window, size: tuple[int, int], margin: int) -> torch.Tensor:
    """Return float32 [h, w], above 0."""
    left, top, right, bottom = window
    down = _ramps(bottom - top, margin, open_start=top > 0, open_end=bottom < size[0])
    across = _ramps(right - left, margin, open_start=left > 0, open_end=right < size[1])
    return down[:, None] * across


def _ramps(length: int, margin: int, *, open_start: bool, open_end: bool) -> torch.Tensor:
    rise = ((torch.arange(length) + 0.5) / max(1, margin)).clamp(max=1)
    weight = torch.ones(length)
    if open_start:
        weight = weight * rise
    return weight * rise.flip(0) if open_end else weight
