"""Fourier domain adaptation: a picture in the style of another, whose low frequencies it gets.

Source: Yang & Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020, equations 1 to 4.
"""

from __future__ import annotations

import math

import numpy as np

# H height, W width, C channels


def in_style_of(picture: np.ndarray, style: np.ndarray, *, beta: float) -> np.ndarray:
    """Return uint8 [H, W, C], the picture with the low-frequency amplitude of another one, cut at 0 and 255.

    picture, style: uint8 [H, W, C], of one size. beta: as for `with_amplitude_of`.
    """
    found = with_amplitude_of(picture, style, beta=beta)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def with_amplitude_of(picture: np.ndarray, style: np.ndarray, *, beta: float) -> np.ndarray:
    """Return float64 [H, W, C]: each channel with its own phases, and the other's amplitudes near frequency 0.

    picture, style: [H, W, C], of one size and any numbers. beta: 0..0.5; the amplitudes of both frequencies from -b to
    b are exchanged, b = floor(beta * min(H, W)): a square of side 2 b + 1. With 0 that is the mean alone, with 0.5 all
    there is of a square picture.
    """
    assert picture.shape == style.shape, (picture.shape, style.shape)
    height, width = picture.shape[:2]
    reach = math.floor(beta * min(height, width))
    spectrum, other = (np.fft.rfft2(part.astype(np.float64), axes=(0, 1)) for part in (picture, style))
    # Half of the spectrum of real numbers mirrors the other: columns from 0 on are enough.
    rows = np.unique(np.arange(-reach, reach + 1) % height)
    low = np.ix_(rows, np.arange(min(reach + 1, spectrum.shape[1])))
    spectrum[low] = np.abs(other[low]) * np.exp(1j * np.angle(spectrum[low]))
    return np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
