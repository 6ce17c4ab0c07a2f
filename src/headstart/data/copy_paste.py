"""Copy-paste: objects of one picture put into another, for sets that show each object in a few places only.

Source: Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021:
a random part of the objects of one other picture, resized together, with the boxes of what they cover made anew.

Where masks are known the objects are cut out along them, with plain edges: the paper found smooth ones to gain nothing.
A rectangle is another matter: its edges would stand exactly where the box does, and the detector would learn to look
for them. So it is pasted with some of its surroundings, which fade out outside of the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headstart.data.augment_boxes import LEAST_SIDE, Boxed, scaled
from headstart.data.regions import extents, resized

# K objects, H height, W width, C channels

LEAST_VISIBLE = 0.2
"""Share of an object's pixels that must be seen for its box to stay; the box is then that of what is seen."""
SMALLER, LARGER = 0.5, 1.5
"""How small and how large the pasted objects may become."""
FADE = 0.15
"""Width of the fading surroundings of a rectangle, as a share of its shorter side; two pixels at least."""


@dataclass(frozen=True)
class Outlined(Boxed):
    """A picture with its boxes, and with the pixels of each object."""

    regions: np.ndarray
    """bool [K, H, W]: of its mask where it has one, else of its box."""
    masked: bool
    """Whether every object has a mask."""


def paste(onto: Outlined, source: Outlined, *, rng: np.random.Generator) -> Boxed:
    """Return `onto` with some objects of `source` in a random place, size and mirroring; it keeps its own size.

    The pasted ones keep their places among each other and are resized so far that all of them fit in. What else of
    `source` is seen in a pasted rectangle is marked, too, by the same share as what is covered. `source` has objects.
    """
    canvas_size = onto.picture.shape[0], onto.picture.shape[1]
    chosen = rng.permutation(len(source.boxes))[:rng.integers(1, len(source.boxes) + 1)]
    cut = _turned(_fitting(source, canvas_size, chosen, rng), mirrored=rng.random() < 0.5)
    left, top, right, bottom = (int(side) for side in extents(cut.regions[chosen].max(axis=0)[None])[0])
    across = int(rng.integers(0, max(0, canvas_size[1] - (right - left)) + 1)) - left
    down = int(rng.integers(0, max(0, canvas_size[0] - (bottom - top)) + 1)) - top
    rows, own_rows = _overlap(cut.picture.shape[0], canvas_size[0], down)
    columns, own_columns = _overlap(cut.picture.shape[1], canvas_size[1], across)
    there, here = (rows, columns), (own_rows, own_columns)
    cover = np.zeros(cut.picture.shape[:2])
    cover[there] = _cover(cut, chosen)[there]
    picture = onto.picture.astype(np.float64)
    share = cover[there][..., None]
    picture[here] = share * cut.picture[there] + (1 - share) * picture[here]
    hidden = np.zeros(canvas_size, bool)
    hidden[here] = cover[there] >= 0.5
    boxes, labels = _seen(onto, onto.regions & ~hidden)
    new_boxes, new_labels = _seen(cut, cut.regions & (cover >= 0.5))
    # Resized boxes lie between pixels, and may reach out by a part of one.
    moved = (new_boxes + np.array([across, down] * 2)).clip(0, [canvas_size[1], canvas_size[0]] * 2)
    return Boxed(np.rint(picture).astype(np.uint8), np.concatenate([boxes, moved]).astype(np.float32),
                 np.concatenate([labels, new_labels]))


def _fitting(source: Outlined, canvas: tuple[int, int], chosen: np.ndarray, rng: np.random.Generator) -> Outlined:
    """Return the source resized at random, and so far that the chosen objects fit into the canvas."""
    left, top, right, bottom = extents(source.regions[chosen].max(axis=0)[None])[0]
    scale = min(math.exp(rng.uniform(math.log(SMALLER), math.log(LARGER))), canvas[0] / (bottom - top),
                canvas[1] / (right - left))
    picture, before = scaled(source.picture, scale), source.picture.shape
    size = picture.shape[0], picture.shape[1]
    factors = np.array([size[1] / before[1], size[0] / before[0]] * 2, np.float32)
    return Outlined(picture, source.boxes * factors, source.labels, resized(source.regions, size), source.masked)


def _turned(item: Outlined, *, mirrored: bool) -> Outlined:
    if not mirrored:
        return item
    left, top, right, bottom = item.boxes.T
    width = item.picture.shape[1]
    return Outlined(item.picture[:, ::-1], np.stack([width - right, top, width - left, bottom], axis=1), item.labels,
                    item.regions[:, :, ::-1], item.masked)


def _cover(item: Outlined, chosen: np.ndarray) -> np.ndarray:
    """Return float [H, W] in 0..1: how far each pixel of the picture covers what it is pasted on."""
    if item.masked:
        return np.asarray(item.regions[chosen].max(axis=0), np.float64)
    height, width = item.picture.shape[:2]
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    cover = np.zeros((height, width))
    for left, top, right, bottom in item.boxes[chosen]:
        fade = max(2.0, FADE * min(right - left, bottom - top))
        beside, above = (np.clip(np.minimum(at - (low - fade), high + fade - at) / fade, 0, 1)
                         for at, low, high in ((across, left, right), (down, top, bottom)))
        cover = np.maximum(cover, np.minimum(beside, above[:, None]))
    return cover


def _overlap(old: int, new: int, shift: int) -> tuple[slice, slice]:
    """Return which of `old` pixels fall on `new` ones once they are shifted, and on which."""
    first, last = max(0, -shift), min(old, new - shift)
    return slice(first, last), slice(first + shift, last + shift)


def _seen(item: Outlined, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 boxes [K', 4] and labels [K'] of what is left where only `regions` bool [K, H, W] are seen."""
    before, after = extents(item.regions), extents(regions)
    # A side that nothing covers stays where the annotation has it, which may be between two pixels.
    boxes = np.where(before == after, item.boxes, after).astype(np.float32)
    enough = regions.sum(axis=(1, 2)) >= LEAST_VISIBLE * item.regions.sum(axis=(1, 2))
    kept = enough & (np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) >= LEAST_SIDE)
    return boxes[kept], item.labels[kept]
