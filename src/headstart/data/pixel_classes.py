"""Pixel classes: from the mask of an image, as files or outlines have it, to the class of each pixel.

# H height, W width in pixels, C classes
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from headstart.data.drawing import drawn
from headstart.data.masks import BadMask
from headstart.errors import DataError
from headstart.images import decode_values, title
from headstart.types import IGNORED, UNMARKED, Codes, ImageSource, Mask, MaskShapes, Sample

FEW = 8
"""Unknown numbers that a message tells."""
OPACITY = 0.55
"""Of the colours of classes on a picture."""
PART = 4_000_000
"""Pixels that are counted at once."""
WIDE = 1 << 16
"""Numbers below which a table answers what they mean; beyond it they are sorted."""


def pixel_classes(mask: Mask) -> np.ndarray:
    """Return uint8 [H, W]: class indices, and IGNORED where a pixel is of no class.

    Raises ImageError for a file that can't be read, BadMask for a number without
    a meaning (with how many pixels have which), and for files of several sizes.
    """
    if isinstance(mask, MaskShapes):
        return drawn(mask)
    found: np.ndarray | None = None
    for source, codes in zip(mask.sources, mask.codes, strict=True):
        layer = _decoded(source, codes)
        if found is None:
            found = layer
            continue
        if layer.shape != found.shape:
            raise BadMask(f"{title(source)}: {layer.shape[1]}x{layer.shape[0]} pixels, the other masks of its image "
                          f"{found.shape[1]}x{found.shape[0]}")
        marked = layer != UNMARKED
        found[marked] = layer[marked]
    assert found is not None, "a mask without a file"
    found[found == UNMARKED] = mask.unmarked
    return found


def classes_of(sample: Sample, size: tuple[int, ...]) -> np.ndarray:
    """Return `pixel_classes` of a sample with a mask. Raises DataError where it can't be read, or has another size.

    size: height and width of the picture.
    """
    assert sample.mask is not None, sample.id
    try:
        found = pixel_classes(sample.mask)
    except BadMask as error:
        raise DataError(f"{sample.id}: {error}") from None
    if found.shape != tuple(size):
        raise DataError(f"{sample.id}: {size[1]}x{size[0]} pixels, its mask {found.shape[1]}x{found.shape[0]}")
    return found


def relabelled(masks: Sequence[Mask], place: Mapping[int, int]) -> list[Mask]:
    """Return the masks with class `place[label]` for each label.

    A number of a class without a place is unknown then, an object of one is not drawn.
    """
    new: dict[int, Codes] = {}

    def codes(old: Codes) -> Codes:
        if id(old) not in new:  # all images share a few
            labels = {value: UNMARKED if label == UNMARKED else place[label] for value, label in old.labels.items()
                      if label == UNMARKED or label in place}
            others = None if old.others is None else place[old.others]
            new[id(old)] = Codes(labels, old.ignored, others, old.colours)
        return new[id(old)]

    def one(mask: Mask) -> Mask:
        unmarked = place.get(mask.unmarked, IGNORED)
        if isinstance(mask, MaskShapes):
            kept = [found for found in mask.objects if found.label == IGNORED or found.label in place]
            return replace(mask, unmarked=unmarked, objects=tuple(
                replace(found, label=place.get(found.label, IGNORED)) for found in kept))
        return replace(mask, codes=tuple(map(codes, mask.codes)), unmarked=unmarked)

    return list(map(one, masks))


def palette(count: int) -> np.ndarray:
    """Return uint8 [256, 3], a colour for each of so many classes, far apart in hue; what is of no class is white."""
    found = np.full((256, 3), 255, np.uint8)
    for label in range(count):
        # The golden angle keeps neighbours apart, however many there are.
        hue, lightness = (0.58 + 0.381966 * label) % 1, (0.45, 0.6, 0.35)[label % 3]
        found[label] = [round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.75)]
    return found


def coloured(picture: Image.Image, found: np.ndarray, classes: int) -> Image.Image:
    """Return a picture in RGB with the colours of so many classes on it; what is of no class is left as it is.

    found: uint8 [H, W], of the size of the picture.
    """
    laid = Image.blend(picture, Image.fromarray(palette(classes)[found]), OPACITY)
    if (found == IGNORED).any():
        laid.paste(picture, mask=Image.fromarray(found == IGNORED))
    return laid


def class_counts(found: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [C], how many pixels are of each class. found: uint8 [H, W] as `pixel_classes` gives them."""
    # In parts: counting makes eight bytes of each pixel.
    parts = (np.bincount(part, minlength=IGNORED + 1) for part in _parts(found))
    return sum(parts, np.zeros(IGNORED + 1, np.int64))[:classes]


def _parts(found: np.ndarray) -> Iterator[np.ndarray]:
    flat = found.reshape(-1)
    return (flat[start:start + PART] for start in range(0, len(flat), PART))


def resized_classes(found: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 [H', W'] of uint8 [H, W]: each pixel is the one on which its centre falls; none is a mixture."""
    rows, columns = ((np.arange(new) * 2 + 1) * old // (2 * new) for new, old in zip(size, found.shape, strict=True))
    return found[rows[:, None], columns]


def _decoded(source: ImageSource, codes: Codes) -> np.ndarray:
    """Return uint8 [H, W], the classes that one file marks."""
    values = decode_values(source, colours=codes.colours)
    if codes.others is None:
        _refuse_unknown(values, codes, source)
    known = {**codes.labels, **dict.fromkeys(codes.ignored, IGNORED)}
    if values.min(initial=0) >= 0 and values.max(initial=0) < WIDE:
        table = np.full(WIDE, IGNORED if codes.others is None else codes.others, np.uint8)
        for value, label in known.items():
            if value < WIDE:
                table[value] = label
        return table[values]
    kinds, places = np.unique(values, return_inverse=True)
    rest = IGNORED if codes.others is None else codes.others
    labels = np.array([known.get(int(kind), rest) for kind in kinds], np.uint8)
    return labels[places].reshape(values.shape)


def _refuse_unknown(values: np.ndarray, codes: Codes, source: ImageSource) -> None:
    kinds, counts = histogram(values)
    strange = [(kind, count) for kind, count in zip(kinds, counts, strict=True)
               if kind not in codes.labels and kind not in codes.ignored]
    if strange:
        raise BadMask(f"{title(source)}: {told(strange, codes.colours)}, which no class has")


def histogram(values: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the numbers in an array, sorted, and how often each occurs."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        kinds = np.flatnonzero(counts)
        return kinds.tolist(), counts[kinds].tolist()
    kinds, counts = np.unique(values, return_counts=True)
    return kinds.tolist(), counts.tolist()


def told(strange: Sequence[tuple[int, int]], colours: bool) -> str:
    """Return in words which numbers, or colours, how many pixels have, the most frequent first."""
    first = sorted(strange, key=lambda item: -item[1])[:FEW]
    words = ", ".join(f"{named(kind, colours)} ({count} pixels)" for kind, count in first)
    left = f" and {len(strange) - FEW} more" if len(strange) > FEW else ""
    return f"the {'colours' if colours else 'values'} {words}{left}"


def named(value: int, colours: bool) -> str:
    """Return a number as text, a colour as #rrggbb."""
    return f"#{value:06x}" if colours else str(value)
