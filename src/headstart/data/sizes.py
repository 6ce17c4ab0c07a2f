"""Sizes: height and width of pictures, upright, from their headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from headstart.images import ImageError, ImageInfo, probe
from headstart.types import ImageSource


def upright(info: ImageInfo) -> tuple[int, int]:
    """Return height and width after the EXIF orientation is applied."""
    return (info.width, info.height) if info.orientation >= 5 else (info.height, info.width)


def sizes_of(sources: Sequence[ImageSource], *, workers: int = 4) -> list[tuple[int, int] | ImageError]:
    """Return height and width of each picture, or why its header can't be read."""
    def one(source: ImageSource) -> tuple[int, int] | ImageError:
        try:
            return upright(probe(source))
        except ImageError as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, sources))
