"""Appearance: what pictures look like before any network sees them: light, contrast, blur, colour, noise, size, coding.

# H height, W width in pixels, N and M images
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.events import Listen
from headstart.images import ImageError, scan
from headstart.selection.jpeg import jpeg_quality
from headstart.types import ImageSource

COMMON = 224
"""Pixels of the shorter side that every picture is brought to before its sharpness is measured."""
LARGEST = 1024
"""Pixels a side of the middle part in which noise is measured: enough to be steady, and cheap."""
MOST_SIDE = 2048
"""Pixels a side, about, of which light and colour are taken."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue (Rec. 601, as in JPEG)."""
NEGLIGIBLE = 0.147
"""Cliff's delta below which a difference is called negligible (Romano et al., 2006)."""
CHANCE = 2.73
"""Standard errors of a delta that the largest of eight exceeds by chance in about 5% of cases."""


@dataclass(frozen=True)
class Measure:
    """How a property of pictures is called."""

    label: str
    unit: str
    more: str
    """What pictures are that have more of it."""
    less: str


MEASURES: Mapping[str, Measure] = {
    "brightness": Measure("brightness", "mean grey level, 0 to 255", "brighter", "darker"),
    "contrast": Measure("contrast", "deviation of the grey levels", "richer in contrast", "poorer in contrast"),
    "sharpness": Measure("sharpness", f"variance of the Laplacian at {COMMON} pixels, % of that of the grey levels",
                         "sharper", "blurrier"),
    "colour": Measure("colour", "colourfulness, 0 to about 110", "more colourful", "paler"),
    "noise": Measure("noise", "deviation, % of the contrast; fine texture counts too", "noisier", "smoother"),
    "resolution": Measure("resolution", "pixels of the shorter side", "larger", "smaller"),
    "bits_per_pixel": Measure("bits a pixel", "size of the file by pixels", "less compressed", "more compressed"),
    "jpeg_quality": Measure("JPEG quality", "1 to 100, from the tables in the file", "of finer JPEG coding",
                            "of coarser JPEG coding"),
}
"""By name, in the order in which they are shown."""


@dataclass(frozen=True)
class Difference:
    """One property in two sets of pictures."""

    name: str
    first: float
    """Median."""
    second: float
    effect: float
    """Cliff's delta: chance that a picture of the second set has more, less the chance that it has less; -1..1."""
    tells: bool
    """Whether the effect is more than negligible, and than chance."""

    @property
    def words(self) -> str:
        """What the pictures of the second set are, compared with those of the first."""
        measure = MEASURES[self.name]
        return measure.more if self.effect > 0 else measure.less


def measure(sources: Sequence[ImageSource], *, listen: Listen) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return {name: float64 [n]} of every property that can be told, and the share of each file format.

    Pictures that can't be read are left out here. JPEG quality has a value for each JPEG only.
    """
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    formats: Counter[str] = Counter()
    for source, info in zip(sources, scan(sources, listen=listen, measure=of_pixels), strict=True):
        if isinstance(info, ImageError):
            continue
        data = source.read_bytes() if isinstance(source, Path) else source()
        formats[info.format] += 1
        values = {**info.measured, "resolution": min(info.width, info.height),
                  "bits_per_pixel": 8 * len(data) / (info.width * info.height)}
        quality = jpeg_quality(data) if info.format in ("JPEG", "MPO") else None
        if quality is not None:
            values["jpeg_quality"] = quality
        for name, value in values.items():
            found[name].append(float(value))
    total = max(1, sum(formats.values()))
    return ({name: np.array(values) for name, values in found.items() if values},
            {name: count / total for name, count in formats.most_common()})


def of_pixels(pixels: np.ndarray) -> dict[str, float]:
    """Return what uint8 [H, W, 3] tells: brightness, contrast, sharpness, colour, noise."""
    step = -(-max(pixels.shape[:2]) // MOST_SIDE)
    some = pixels[::step, ::step]  # of a large picture every so many pixels: light and colour stay what they are
    grey, part = some @ LUMA, middle(pixels) @ LUMA
    return {"brightness": float(grey.mean()), "contrast": float(grey.std()), "sharpness": sharpness(pixels),
            "colour": colourfulness(some), "noise": 100 * by_contrast(noise(part), float(part.std()))}


def middle(pixels: np.ndarray) -> np.ndarray:
    """Return the middle part of uint8 [H, W, 3], at most 1024 pixels a side."""
    top, left = (max(0, (side - LARGEST) // 2) for side in pixels.shape[:2])
    return pixels[top:top + LARGEST, left:left + LARGEST]


def sharpness(pixels: np.ndarray) -> float:
    """Return the variance of the Laplacian of the grey picture, its shorter side brought to 224 pixels.

    In % of the variance of its grey levels: a picture in less light is not blurred.

    pixels: uint8 [H, W, 3]. What was enlarged to that size counts as blurred, as it is for a network.
    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    height, width = pixels.shape[:2]
    scale = COMMON / min(height, width)
    size = max(COMMON, round(width * scale)), max(COMMON, round(height * scale))
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BILINEAR), np.float64)
    laplacian = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1])
    return 100 * by_contrast(float(laplacian.var()), float(grey.var()))


def by_contrast(value: float, spread: float) -> float:
    """Return a value as a part of what the grey levels spread; 0 where all are one."""
    return value / spread if spread > 0 else 0.0


def colourfulness(pixels: np.ndarray) -> float:
    """Return how colourful uint8 [H, W, 3] is: 0 for grey, about 15 slightly, 45 averagely, 110 extremely.

    Source: Hasler & Süsstrunk, "Measuring colourfulness in natural images", Human Vision and Electronic Imaging 2003.
    """
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    first, second = red - green, (red + green) / 2 - blue
    return float(math.hypot(first.std(), second.std()) + 0.3 * math.hypot(first.mean(), second.mean()))


def noise(grey: np.ndarray) -> float:
    """Return the deviation of the noise in a grey picture, float [H, W]; 0 below 3 pixels.

    A mask that does not see planes nor their edges; fine texture counts as noise.
    Source: Immerkær, "Fast Noise Variance Estimation", Computer Vision and Image Understanding 1996.
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return 0.0
    down = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    across = down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]
    return float(math.sqrt(math.pi / 2) * np.abs(across).sum() / (6 * (width - 2) * (height - 2)))


def differences(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[Difference]:
    """Return what both sets tell of, in the order of MEASURES."""
    found = []
    for name in MEASURES:
        if name in first and name in second:
            effect = cliffs_delta(first[name], second[name])
            count, other = len(first[name]), len(second[name])
            error = math.sqrt((count + other + 1) / (3 * count * other))
            found.append(Difference(name, float(np.median(first[name])), float(np.median(second[name])), effect,
                                    abs(effect) > max(NEGLIGIBLE, CHANCE * error)))
    return found


def cliffs_delta(first: np.ndarray, second: np.ndarray) -> float:
    """Return P(second > first) - P(second < first) over all pairs of float [N] and [M], in -1..1.

    Source: Cliff, "Dominance statistics: ordinal analyses to answer ordinal questions", Psychological Bulletin 1993.
    """
    ordered = np.sort(first)
    below = np.searchsorted(ordered, second, side="left").sum()
    above = (len(first) - np.searchsorted(ordered, second, side="right")).sum()
    return float((int(below) - int(above)) / (len(first) * len(second)))
