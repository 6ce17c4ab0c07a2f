"""The one decode path: from an encoded file to pixels, the same for training, evaluation, prediction and serving.

Pillow only, with an allow-list of formats and none of its global flags: torchvision's PNG decoder can crash the
process on one flipped byte, and a truncated picture with grey rows is worse than an error.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from PIL import Image

from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Listen, Progress, Started, silent
from headstart.pixels import Window, has_late_exif, orientation, region, stored_values, upright_size, whole_array
from headstart.signatures import kind_of, lacks_end, opener_of
from headstart.types import ImageSource

# H height, W width in pixels

Reason = Literal["empty_file", "not_an_image", "truncated", "corrupt", "too_large", "float_image", "missing",
                 "unreadable"]
LARGE = 16_000_000
"""Pixels above which pictures are decoded one after the other, whatever the number of threads."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_one_at_a_time = threading.RLock()


def _max_pixels() -> int:
    given = os.environ.get("HEADSTART_MAX_PIXELS", "").strip()
    if given and not (given.isascii() and given.isdigit()):
        raise ConfigError(f"HEADSTART_MAX_PIXELS={given}: give a whole number of pixels, such as 400000000.")
    return int(given or 128_000_000)


MAX_PIXELS = _max_pixels()
"""Of a picture that is decoded. Pillow takes 4 bytes for each, and a file of a few bytes can claim any number."""
EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
                        ".mpo"})
"""Of files that Headstart decodes, lower case; what counts in the end is the content."""
TRANSIENT = frozenset({errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT})


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
    with opened(source, channels=channels, background=background) as picture:
        return picture.array()


def decode_values(source: ImageSource, *, colours: bool = False) -> np.ndarray:
    """Return the numbers that a mask has as its pixels, upright: uint8 or int32 [H, W].

    Of a palette they are the positions in it. colours: red * 65536 + green * 256 + blue instead, int32 [H, W].
    Raises ImageError, also for colours where numbers are asked for."""
    with contextlib.ExitStack() as held, _opened(source) as image:
        _wait_if_large(image, held)
        _load(image)
        if not (colours or image.mode in ("1", "L", "P", "LA", "PA") or image.mode.startswith("I")):
            raise ImageError(f"{title(source)}: a mask in colours ({image.mode}). Say which colour is which class.")
        return stored_values(image, orientation(image), colours=colours)


class Picture:
    """A decoded picture as Pillow keeps it, upright; arrays are made of what is asked for alone."""

    def __init__(self, image: Image.Image, name: str, mode: str, background: int) -> None:
        """image: decoded; name: for messages; mode and background: of the arrays."""
        self._image, self._name, self._mode, self._background = image, name, mode, background
        self._turned = orientation(image)
        self.size = upright_size(image.width, image.height, self._turned)
        """Height and width."""

    def array(self) -> np.ndarray:
        """Return the whole: uint8 [H, W, channels]. Raises ImageError."""
        with self._told():
            return whole_array(self._image, self._turned, self._mode, self._background)

    def region(self, window: Window) -> np.ndarray:
        """Return a part, uint8 [bottom - top, right - left, channels]; no array of the whole is made."""
        with self._told():
            return region(self._image, self._turned, window, self._mode, self._background)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError) as error:
            raise ImageError(f"{self._name}: corrupt: the picture can't be converted ({error})") from error


@contextlib.contextmanager
def opened(source: ImageSource, *, channels: int = 3, background: int = 255) -> Iterator[Picture]:
    """Give a decoded picture, of which parts can be taken. One of more than LARGE pixels waits for other such ones.

    channels, background and errors are those of `decode`; what is raised inside the block goes through as it is.
    """
    if channels not in MODES:
        raise ConfigError(f"pictures give 1 (grey), 3 (RGB) or 4 (RGBA) channels, not {channels}")
    with contextlib.ExitStack() as held:
        with _opened(source) as image:
            _wait_if_large(image, held)
            _load(image)
            picture = Picture(image, title(source), MODES[channels], background)
        yield picture


def _wait_if_large(image: Image.Image, held: contextlib.ExitStack) -> None:
    if image.width * image.height > LARGE:
        held.enter_context(_one_at_a_time)


def size_of(source: ImageSource) -> tuple[int, int]:
    """Return height and width of the upright picture, from what stands around its pixels. Raises ImageError."""
    with _opened(source) as image:
        if image.format == "PNG" and "exif" not in image.info and has_late_exif(image):
            image.load()
        # Of a TIFF, Pillow says the upright size before it has turned the picture.
        plain = image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info)
        turned = 1 if plain else orientation(image)
        return upright_size(image.width, image.height, turned)


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
        with contextlib.ExitStack() as held, _opened(source) as image:
            info = _describe(image)
            _wait_if_large(image, held)
            _load(image)
            if image.format == "PNG":
                info = replace(info, orientation=orientation(image))  # may stand behind the pixels
            pixels = whole_array(image, info.orientation, "RGB", 255)
            return replace(info, measured=measure(pixels)) if measure else info
    except ImageError as error:
        return error


def _describe(image: Image.Image) -> ImageInfo:
    unknown = image.format == "PNG" and "exif" not in image.info  # asked for it, Pillow would decode
    return ImageInfo(image.format or "", image.mode, image.width, image.height, int(getattr(image, "n_frames", 1)),
                     1 if unknown else orientation(image))


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


def _foreign(head: bytes, name: str) -> ImageError:
    if not head:
        return ImageError(f"{name}: the file is empty (0 bytes)", reason="empty_file")
    return ImageError(f"{name}: not_an_image(sniffed={kind_of(head)}); Headstart reads JPEG, PNG, WebP, BMP, TIFF and "
                      "GIF", reason="not_an_image")


def _check_header(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: too_large({image.width}x{image.height}); more than {MAX_PIXELS // 10**6} million "
                         "pixels are not decoded. Make it smaller, cut it into tiles, or, if you trust the file and "
                         "have 8 bytes of memory for each pixel, set HEADSTART_MAX_PIXELS to their number.",
                         reason="too_large")
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
    cut = isinstance(error, EOFError) or "truncated" in str(error).lower() or lacks_end(file)
    what = "truncated: the file stops before the picture ends" if cut else "corrupt: the picture can't be decoded"
    return ImageError(f"{name}: {what} ({error})", reason="truncated" if cut else "corrupt")
