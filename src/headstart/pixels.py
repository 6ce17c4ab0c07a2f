"""Pixels: from an opened picture to arrays, upright; the whole, or a part of it without an array of the whole.

Pillow keeps a colour picture at 4 bytes a pixel. What is made of it here is never larger than what was asked for, plus
a band of BAND pixels.
"""

from __future__ import annotations

import os
import struct
from typing import IO, cast

import numpy as np
from PIL import ExifTags, Image

# H height, W width in pixels, C channels

BAND = 4_000_000
"""Pixels that are turned and converted at once."""
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}
"""What brings a picture upright, by its EXIF orientation."""
ON_ITS_SIDE = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
Window = tuple[int, int, int, int]
"""Left, top, right, bottom of a part of the upright picture, edges in whole pixels."""


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return 1  # broken metadata around a sound picture: as if there were none
    return found if found in TURNS else 1


def has_late_exif(image: Image.Image) -> bool:
    """Return whether a PNG's EXIF stands behind its pixels, where Pillow comes only by decoding them."""
    file = cast(IO[bytes], image.fp)  # type: ignore[attr-defined]
    position, found = file.tell(), False
    file.seek(8)
    while not found and len(head := file.read(8)) == 8:
        found = head[4:] == b"eXIf"
        file.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)
    file.seek(position)
    return found


def upright_size(width: int, height: int, turned: int) -> tuple[int, int]:
    """Return height and width of the upright picture, from the stored ones and the EXIF orientation."""
    return (width, height) if turned in ON_ITS_SIDE else (height, width)


def whole_array(image: Image.Image, turned: int, mode: str, background: int) -> np.ndarray:
    """Return the upright picture, uint8 [H, W, C], in mode L, RGB or RGBA; turned: its orientation."""
    height, width = upright_size(image.width, image.height, turned)
    if height * width <= BAND:
        return to_array(image if turned == 1 else image.transpose(TURNS[turned]), mode, background)
    return region(image, turned, (0, 0, width, height), mode, background)


def region(image: Image.Image, turned: int, window: Window, mode: str, background: int) -> np.ndarray:
    """Return a part of the upright picture, uint8 [bottom - top, right - left, C]: the pixels of `whole_array`."""
    left, top, right, bottom = window
    height, width = bottom - top, right - left
    if height * width <= BAND or height == 1:
        part = image.crop(_stored(window, image.width, image.height, turned))
        return to_array(part if turned == 1 else part.transpose(TURNS[turned]), mode, background)
    found = np.empty((height, width, {"L": 1, "RGB": 3, "RGBA": 4}[mode]), np.uint8)
    rows = max(1, BAND // width)
    for start in range(top, bottom, rows):
        end = min(start + rows, bottom)
        found[start - top:end - top] = region(image, turned, (left, start, right, end), mode, background)
    return found


def stored_values(image: Image.Image, turned: int, *, colours: bool) -> np.ndarray:
    """Return the upright picture's own numbers, uint8 or int32 [H, W], its palette and transparency left aside.

    colours: red * 65536 + green * 256 + blue, int32 [H, W], instead.
    """
    upright = image if turned == 1 else image.transpose(TURNS[turned])
    if image.format == "GIF" and upright.mode == "P":  # which has no grey of its own: its palette says which grey it is
        grey = upright.convert("RGB")
        upright = grey.convert("L") if _is_grey(grey) else upright
    if colours:
        found = np.asarray(upright.convert("RGB")).astype(np.int32)
        return found[..., 0] << 16 | found[..., 1] << 8 | found[..., 2]
    if upright.mode in ("LA", "PA"):
        return np.ascontiguousarray(np.asarray(upright)[..., 0])
    found = np.asarray(upright)
    return found.astype(np.int32 if upright.mode.startswith("I") else np.uint8)


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = (band.tobytes() for band in image.split())
    return red == green == blue


def _stored(window: Window, width: int, height: int, turned: int) -> Window:
    """Return where a part of the upright picture lies in the stored one of this width and height."""
    left, top, right, bottom = window
    return {1: window,
            2: (width - right, top, width - left, bottom),
            3: (width - right, height - bottom, width - left, height - top),
            4: (left, height - bottom, right, height - top),
            5: (top, left, bottom, right),
            6: (top, height - right, bottom, height - left),
            7: (width - bottom, height - right, width - top, height - left),
            8: (width - bottom, left, width - top, right)}[turned]


def to_array(image: Image.Image, mode: str, background: int) -> np.ndarray:
    """Return uint8 [H, W, C] in mode L, RGB or RGBA from any mode that Pillow knows."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if mode != "RGBA":
            ground = Image.new("RGBA", image.size, (background, background, background, 255))
            image = Image.alpha_composite(ground, image).convert("RGB")
    if image.mode != mode:
        image = image.convert(mode)
    array = np.array(image)
    return array[..., None] if array.ndim == 2 else array


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 8-bit grey (and alpha, where one grey level means transparent) from 16-bit grey: 65535 / 257 = 255."""
    deep = np.asarray(image).astype(np.uint32)
    grey = ((deep + 128) // 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(np.where(deep == clear, 0, 255).astype("u1"))])
    return Image.fromarray(grey)
