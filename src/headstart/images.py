"""The one decode path: from an encoded file to pixels, the same for training, evaluation, prediction and serving.

Pillow only, with an allow-list of formats and none of its global flags: torchvision's PNG decoder can crash the
process on one flipped byte, and a truncated picture with grey rows is worse than an error.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Listen, Progress, Started, silent
from headstart.types import ImageSource

# H height, W width in pixels

Reason = Literal["empty_file", "not_an_image", "truncated", "corrupt", "too_large", "float_image", "missing",
                 "unreadable"]
MAX_PIXELS = 64_000_000
EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
                        ".mpo"})
"""Of files that Headstart decodes, lower case; what counts in the end is the content."""
FORMATS = {b"\xff\xd8\xff": JpegImagePlugin.jpeg_factory, b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
           b"GIF87a": GifImagePlugin.GifImageFile, b"GIF89a": GifImagePlugin.GifImageFile,
           b"BM": BmpImagePlugin.BmpImageFile, b"RIFF": WebPImagePlugin.WebPImageFile,
           b"II*\0": TiffImagePlugin.TiffImageFile, b"MM\0*": TiffImagePlugin.TiffImageFile,
           b"II+\0": TiffImagePlugin.TiffImageFile, b"MM\0+": TiffImagePlugin.TiffImageFile}
"""First bytes of a file, and what opens it. Opened without `Image.open`, which warns of size through a global."""
OTHERS = {b"<!doctype html": "HTML", b"<html": "HTML", b"<?xml": "XML", b"<svg": "SVG", b"%pdf": "PDF", b"pk": "ZIP",
          b"\x1f\x8b": "gzip", b"\x89hdf": "HDF5", b"8bps": "Photoshop", b"\0\0\0\x0cjp": "JPEG 2000",
          b"version https://git-lfs": "Git LFS pointer"}
TRANSIENT = frozenset({errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT})
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}
"""What brings a picture upright, by its EXIF orientation."""


class ImageError(DataError):
    """One picture can't be used. `reason` is a word for tables and tests; the message names the file."""

    def __init__(self, message: str, *, reason: Reason = "corrupt") -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header says of a picture."""

    format: str
    """Pillow's name of the format, such as `JPEG`."""
    mode: str
    """Pillow's pixel mode as stored, such as `RGB`, `L`, `I;16`, `CMYK`."""
    width: int
    height: int
    """In pixels as stored, before the EXIF orientation is applied."""
    frames: int = 1
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    measured: Any = None
    """What the `measure` of `scan` returned."""


def decode(source: ImageSource, *, channels: int = 3, background: int = 255) -> np.ndarray:
    """Return uint8 [H, W, channels], upright: grey (1), RGB (3) or RGBA (4).

    16 bit is scaled to 8 by dividing by 257. Transparency is laid on the grey level `background`, unless channels
    is 4. Of an animation or a stack the first frame is taken.
    Raises ImageError (a DataError) with its reason; ConfigError for another number of channels.
    """
    if channels not in (1, 3, 4):
        raise ConfigError(f"pictures give 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}")
    with _opened(source) as image:
        _load(image)
        return _to_array(_upright(image), {1: "L", 3: "RGB", 4: "RGBA"}[channels], background)


def probe(source: ImageSource) -> ImageInfo:
    """Return what the header says, without decoding. Raises ImageError."""
    with _opened(source) as image:
        return _describe(image)


def scan(sources: Sequence[ImageSource], *, workers: int | None = None, listen: Listen = silent,
         measure: Callable[[np.ndarray], Any] | None = None) -> list[ImageInfo | ImageError]:
    """Decode every picture fully, as training will; return its header or its error, in the order of `sources`.

    workers: threads (Pillow decodes outside Python's lock); None takes one for each core.
    measure: what else to take from the pixels while they are there: uint8 [H, W, 3] -> anything.
    """
    step, start, results = "decode every image", time.monotonic(), []
    listen(Started(step, len(sources), "images"))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for done, result in enumerate(pool.map(lambda source: _inspect(source, measure), sources), 1):
            results.append(result)
            if done % 50 == 0:
                listen(Progress(step, done))
    listen(Finished(step, time.monotonic() - start))
    return results


def _inspect(source: ImageSource, measure: Callable[[np.ndarray], Any] | None) -> ImageInfo | ImageError:
    try:
        with _opened(source) as image:
            info = _describe(image)
            _load(image)
            if image.format == "PNG":
                info = replace(info, orientation=_orientation(image))  # may stand behind the pixels
            pixels = _to_array(_upright(image), "RGB", 255)
    except ImageError as error:
        return error
    return replace(info, measured=measure(pixels)) if measure else info


def _describe(image: Image.Image) -> ImageInfo:
    # Asked for the EXIF that a PNG has not shown yet, Pillow would decode it.
    unknown = image.format == "PNG" and "exif" not in image.info
    return ImageInfo(image.format or "", image.mode, image.width, image.height, int(getattr(image, "n_frames", 1)),
                     1 if unknown else _orientation(image))


def printable(text: str) -> str:
    """Return `text` with every character that can't be shown as an escape; two different texts stay different."""
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in text)


def title(source: ImageSource) -> str:
    """Return the name of a picture for messages: its path, or what its call says of itself."""
    return printable(str(source))


@contextlib.contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    """Open the picture, check its header, and turn whatever goes wrong inside the block into an ImageError."""
    name = title(source)
    with _file(source, name) as file:
        try:
            head = file.read(64)
            opener = opener_of(head)
            if opener is None:
                raise _foreign(head, name)
            file.seek(0)
            with opener(file, None) as image:
                _check_header(image, name)
                yield image
        except (ConfigError, DataError, MemoryError):
            raise
        except OSError as error:
            if error.errno is not None:  # Pillow's own complaints carry none
                raise ImageError(f"{name}: can't be read ({error.strerror})", reason="unreadable") from error
            raise _damaged(file, name, error) from error
        except Exception as error:
            # Pillow's decoders raise SyntaxError, struct.error, ValueError, EOFError, zlib.error ... on damage.
            raise _damaged(file, name, error) from error


@contextlib.contextmanager
def _file(source: ImageSource, name: str) -> Iterator[IO[bytes]]:
    """Open the file, or the bytes that the call returns; a network file system is asked four times."""
    for pause in (0.05, 0.2, 0.8, None):
        try:
            file = source.open("rb") if isinstance(source, Path) else io.BytesIO(source())
            break
        except FileNotFoundError as error:
            raise ImageError(f"{name}: does not exist", reason="missing") from error
        except OSError as error:
            if pause is None or error.errno not in TRANSIENT:
                raise ImageError(f"{name}: can't be read ({error.strerror or error})", reason="unreadable") from error
            time.sleep(pause)
    with file:
        yield cast(IO[bytes], file)


def opener_of(head: bytes):  # type: ignore[no-untyped-def]  # Pillow's openers share no type
    """Return what opens a file with these first 16 bytes or more, or None if it is no image that we decode."""
    if head[:4] == b"RIFF" and head[8:12] != b"WEBP":
        return None
    return next((opener for magic, opener in FORMATS.items() if head.startswith(magic)), None)


def _foreign(head: bytes, name: str) -> ImageError:
    if not head:
        return ImageError(f"{name}: the file is empty (0 bytes)", reason="empty_file")
    found = next((kind for magic, kind in OTHERS.items() if head.lstrip().lower().startswith(magic)), "")
    if head[4:8] == b"ftyp":
        found = {b"avif": "AVIF", b"heic": "HEIC", b"mif1": "HEIC"}.get(head[8:12], "video")
    if not found:
        found = "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else "unknown"
    return ImageError(f"{name}: not_an_image(sniffed={found}); Headstart reads JPEG, PNG, WebP, BMP, TIFF and GIF",
                      reason="not_an_image")


def _check_header(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: too_large({image.width}x{image.height}); more than {MAX_PIXELS // 10**6} million "
                         "pixels are not decoded. Make it smaller, or cut it into tiles.", reason="too_large")
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        kind = "floating-point" if image.mode == "F" else "32-bit integer"
        raise ImageError(f"{name}: float_image: a {kind} picture has no fixed black and white. Save it with 8 or 16 "
                         "bits, scaled by a range that is the same for all your pictures.", reason="float_image")


def _load(image: Image.Image) -> None:
    """Decode the picture; of a PNG compare the checksums first, which Pillow skips where the pixels are."""
    file = getattr(image, "fp", None)
    if image.format == "PNG" and file is not None:
        position = file.tell()
        file.seek(8)
        while len(head := file.read(8)) == 8:
            data, check = file.read(int.from_bytes(head[:4])), file.read(4)
            found = zlib.crc32(data, zlib.crc32(head[4:]))
            if len(check) == 4 and head[4:5].isupper() and found != int.from_bytes(check):
                raise ValueError(f"the checksum of a part of it, {head[4:]!r}, is wrong")
        file.seek(position)
    image.load()


def _damaged(file: IO[bytes], name: str, error: Exception) -> ImageError:
    """Return `truncated` where the file stops early, else `corrupt`."""
    cut = isinstance(error, EOFError) or "truncated" in str(error).lower() or _lacks_end(file)
    what = "truncated: the file stops before the picture ends" if cut else "corrupt: the picture can't be decoded"
    return ImageError(f"{name}: {what} ({error})", reason="truncated" if cut else "corrupt")


def _lacks_end(file: IO[bytes]) -> bool:
    """Return whether the closing mark of a JPEG, PNG or GIF, or the promised length of a BMP or WebP, is missing."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    file.seek(max(0, length - 4096))
    tail = file.read()
    if head.startswith((b"RIFF", b"BM")):
        promised = struct.unpack("<I", head[4:8] if head[0] == 82 else head[2:6])[0] if len(head) > 7 else length + 1
        return bool(promised + (8 if head[0] == 82 else 0) > length)
    if head.startswith(b"GI"):
        return not tail.rstrip(b"\0").endswith(b";")
    return {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}.get(head[:2], b"") not in tail


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return 1  # broken metadata around a sound picture: as if there were none
    return found if found in TURNS else 1


def _upright(image: Image.Image) -> Image.Image:
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _to_array(image: Image.Image, mode: str, background: int) -> np.ndarray:
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
