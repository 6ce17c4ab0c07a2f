"""Pictures of two classes with light, colour and fine detail of their own, and ways to spoil them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Spoil = Callable[[Image.Image], Image.Image]
SIDE = 64
CLASSES = ("disc", "square")


def scene(seed: int, label: int) -> Image.Image:
    """Return rough, middle and fine patches of colour, with a yellow disc or a blue square on them."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((SIDE, SIDE, 3))
    for cells, share in ((4, 0.45), (16, 0.3), (SIDE, 0.25)):
        patch = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture += share * np.asarray(patch.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
    rows, columns = np.mgrid[:SIDE, :SIDE] - rng.integers(20, 44, 2)[:, None, None]
    inside = np.hypot(rows, columns) < 12 if label == 0 else np.maximum(abs(rows), abs(columns)) < 11
    picture[inside] = ((240, 230, 90), (60, 70, 200))[label]
    return Image.fromarray(np.uint8(np.clip(picture, 0, 255)))


def write_scenes(folder: Path, counts: tuple[int, int], *, seed: int = 0, spoil: Spoil | None = None,
                 flat: bool = False) -> Path:
    """Write so many pictures of each class, in a folder each, or flat in one place."""
    for label, count in enumerate(counts):
        place = folder if flat else folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture = scene(10_000 * seed + 1000 * label + number, label)
            (spoil(picture) if spoil else picture).save(place / f"{label}{number:03d}.png")
    return folder


def blurred(radius: float) -> Spoil:
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(radius))


def paled(contrast: float) -> Spoil:
    return lambda picture: ImageEnhance.Contrast(picture).enhance(contrast)


def noisy(sigma: float) -> Spoil:
    def spoil(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture, float)
        grain = np.random.default_rng(int(pixels.sum())).normal(0, sigma, pixels.shape)
        return Image.fromarray(np.uint8(np.clip(pixels + grain, 0, 255)))

    return spoil
