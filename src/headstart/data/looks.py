"""Looks: files and images that stand out: their content, format, size, channels or brightness is not like the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from headstart.data.duplicates import FLAT
from headstart.data.findings import Finding, counted
from headstart.data.measurements import Measured

# N images

TINY = 16
"""Pixels of the shorter side below which an image tells next to nothing."""
DARK, BRIGHT = 4.0, 251.0
"""Mean grey levels beyond which an image without contrast is as good as black or white."""
FAR = 6.0
"""Robust deviations from the median at which a size stands out."""
LEAST_SCALE = 0.05
"""Of the logarithm of a size: differences of a few percent never stand out, even where all others are equal."""
RARE = 0.05
"""What more than this share of the images has in common does not stand out."""
SUFFIXES = {"JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"}, "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
            "PNG": {".png"}, "WEBP": {".webp"}, "BMP": {".bmp", ".dib"}, "TIFF": {".tif", ".tiff"}, "GIF": {".gif"}}
CHANNELS = {"1": "grey", "L": "grey", "I": "grey", "I;16": "grey", "I;16B": "grey", "I;16L": "grey", "LA": "alpha",
            "La": "alpha", "PA": "alpha", "RGBA": "alpha", "RGBa": "alpha", "RGBX": "colour", "CMYK": "CMYK"}
"""Kind of channels by Pillow's mode; what is not listed is colour."""


def look_findings(images: Sequence[Measured]) -> list[Finding]:
    """Return the findings on everything that can be seen of an image without its label."""
    if not images:
        return []
    return [*_files(images), _sizes(images), _tiny(images), *_outliers(images), _channels(images), _brightness(images)]


def distribution(values: Sequence[int]) -> dict[str, int]:
    """Return `min`, `median` and `max`."""
    return {"min": min(values), "median": int(np.median(values)), "max": max(values)} if values else {}


def standing_out(values: np.ndarray) -> np.ndarray:
    """Return positions of the positive values that are far from the median on a logarithmic scale.

    values: float [N] > 0. Far is FAR times the scaled median absolute deviation; nothing is where more than the share
    RARE would be, for then they are a second kind of images and not outliers.
    """
    logs = np.log(values)
    distance = np.abs(logs - np.median(logs))
    scale = max(1.4826 * float(np.median(distance)), LEAST_SCALE)
    found = np.flatnonzero(distance > FAR * scale)
    return found if len(found) <= RARE * len(values) else found[:0]


def _files(images: Sequence[Measured]) -> list[Finding]:
    foreign = [f"{image.sample.id}: is {image.info.format}" for image in images if _misnamed(image)]
    several = [f"{image.sample.id}: {image.info.frames} frames" for image in images if image.info.frames > 1]
    return [
        _verdict("extension", foreign, "every file is what its extension says",
                 "Not what the extension says: {}; read by the content.",
                 "Rename them, so that other programs read them too."),
        _verdict("frames", several, "every file holds one picture",
                 "With several frames or pages: {}; the first one is used.",
                 "Save the frames that you need as files of their own.")]


def _misnamed(image: Measured) -> bool:
    suffix = PurePath(image.sample.id).suffix.lower()
    known = set().union(*SUFFIXES.values())
    return suffix in known and suffix not in SUFFIXES.get(image.info.format, known)


def _sizes(images: Sequence[Measured]) -> Finding:
    width = distribution([image.width for image in images])
    height = distribution([image.height for image in images])
    different = len({(image.width, image.height) for image in images})
    return Finding(kind="sizes", level="ok", count=different,
                   text=f"{counted(different, 'size')}: width {_range(width)}, height {_range(height)}.")


def _range(sizes: Mapping[str, int]) -> str:
    return f"{sizes['min']} to {sizes['max']} (median {sizes['median']})" if sizes["min"] < sizes["max"] \
        else f"{sizes['min']}"


def _tiny(images: Sequence[Measured]) -> Finding:
    found = [_sized(image) for image in images if min(image.width, image.height) < TINY]
    return _verdict("tiny", found, f"no image is smaller than {TINY} pixels",
                    f"With a side under {TINY} pixels: {{}}.", "Look at them: icons or failed crops?")


def _outliers(images: Sequence[Measured]) -> list[Finding]:
    area = standing_out(np.array([image.width * image.height for image in images], float))
    aspect = standing_out(np.array([image.width / image.height for image in images]))
    return [
        _verdict("size_outliers", [_sized(images[i]) for i in area], "no image is much larger or smaller than the rest",
                 "Much larger or smaller than the rest: {}.", "Look at them: thumbnails, scans, another "
                 "camera?"),
        _verdict("aspect_outliers", [_sized(images[i]) for i in aspect], "no image is much longer or flatter than the "
                 "rest", "Of proportions unlike the rest: {}.",
                 "The model sees the middle square: --set fit=pad keeps the ends.")]


def _channels(images: Sequence[Measured]) -> Finding:
    kinds = [CHANNELS.get(image.info.mode, "colour") for image in images]
    counts = Counter(kinds)
    said = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    rare = {kind for kind, count in counts.items() if count <= RARE * len(images)}
    found = [f"{image.sample.id}: {image.info.mode}" for image, kind in zip(images, kinds, strict=True) if kind in rare]
    return _verdict("channels", found, f"channels: {said}", f"With channels unlike the rest: {{}} ({said}).",
                    "All are read as RGB, transparency on white. Where only one class has them, the model may learn "
                    "the format in place of the picture.")


def _brightness(images: Sequence[Measured]) -> Finding:
    found = []
    for image in images:
        if image.one_colour:
            found.append(f"{image.sample.id}: all one colour, grey level {image.mean:.0f}")
        elif not DARK <= image.mean <= BRIGHT and image.thumbnail.std() < 2 * FLAT:
            found.append(f"{image.sample.id}: nearly all {'black' if image.mean < DARK else 'white'}")
    return _verdict("brightness", found, "no image is blank", "Blank or nearly so: {}.",
                    "Look at them: a lens cap, a failed download, an empty crop?")


def _verdict(kind: str, items: Sequence[str], fine: str, wrong: str, advice: str) -> Finding:
    """Return an `ok` that says `fine`, or a warning that says `wrong` with how many."""
    if not items:
        return Finding(kind=kind, level="ok", text=f"{fine[0].upper()}{fine[1:]}.")
    return Finding(kind=kind, level="warning", text=wrong.format(counted(len(items), "image")), items=tuple(items),
                   count=len(items), advice=advice)


def _sized(image: Measured) -> str:
    return f"{image.sample.id}: {image.width}x{image.height}"

