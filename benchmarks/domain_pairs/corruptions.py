"""Corruptions at severity 5, with the numbers of ImageNet-C (Hendrycks & Dietterich, ICLR 2019) for pictures of 224
pixels; lengths (the radius of the blur) shrink with smaller pictures."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

# uint8 [H, W] or [H, W, 3] in and out


def noise(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it with Gaussian noise of deviation 0.38 of the range."""
    return _back(pixels / 255 + rng.normal(0, 0.38, pixels.shape))


def blur(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it blurred by a Gaussian of deviation 6 at 224 pixels."""
    radius = 6 * min(pixels.shape[:2]) / 224
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def contrast(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it with a twentieth of its contrast."""
    values = pixels / 255
    mean = values.mean(axis=(0, 1), keepdims=True)
    return _back((values - mean) * 0.05 + mean)


def jpeg(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it after JPEG at quality 7."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=7)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())))


def brightness(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it with half of the range added to the value of HSV."""
    if pixels.ndim == 2:
        return _back(pixels / 255 + 0.5)
    hsv = np.stack(np.vectorize(colorsys.rgb_to_hsv)(*np.moveaxis(pixels / 255, 2, 0)), axis=-1)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 0.5, 1)
    return _back(np.stack(np.vectorize(colorsys.hsv_to_rgb)(*np.moveaxis(hsv, 2, 0)), axis=-1))


def _back(values: np.ndarray) -> np.ndarray:
    return np.asarray((np.clip(values, 0, 1) * 255).round(), np.uint8)


CORRUPTIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": noise, "blur": blur, "contrast": contrast, "jpeg": jpeg, "brightness": brightness}
