"""Augmentation: four presets that vary a training picture, from a seed and nothing else.

    none      the very pixels that validation sees
    light     small shift, scale, rotation and brightness; no mirror: safe for digits, text and medical images
    standard  random resized crop, mirror, colour
    strong    standard, then TrivialAugment and random erasing
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from headstart.data.transforms import Preprocessing, to_tensor

Preset = Literal["none", "light", "standard", "strong"]
Transform = Callable[[torch.Tensor], torch.Tensor]
CROP_SCALE = {"crop": 0.35, "squash": 0.5, "pad": 0.5}
"""Least share of the area that a random crop keeps; what `squash` and `pad` show is the whole picture already."""

# C channels, H height, W width


class Augment:
    """Turns a reduced picture into a training image of the preprocessing's size."""

    def __init__(self, preset: Preset, preprocessing: Preprocessing) -> None:
        self.preset = preset
        self.preprocessing = preprocessing
        self.steps = _steps(preset, preprocessing)

    def __call__(self, picture: np.ndarray, *, seed: int) -> torch.Tensor:
        """Return uint8 [C, size, size] from uint8 [H, W, C], as `reduced` made it. Equal seeds give equal images."""
        if self.preset in ("none", "light"):
            picture = self.preprocessing.arrange(picture)
        image = to_tensor(picture)
        if not self.steps:
            return image
        # Only the CPU generator is borrowed: torch.manual_seed would also disturb the accelerator's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for step in self.steps:
                image = step(image)
        return image.contiguous()


def reduced(preprocessing: Preprocessing, picture: np.ndarray) -> np.ndarray:
    """Return uint8 [H, W, C], as small as can be while `arrange` still gives the same pixels as from the original."""
    if preprocessing.fit != "crop":
        return preprocessing.arrange(picture)
    return preprocessing.shrink(picture, preprocessing.short_side)


def _steps(preset: Preset, preprocessing: Preprocessing) -> list[Transform]:
    size, channels = preprocessing.size, preprocessing.channels
    if preset == "none":
        return []
    if preset == "light":
        return [Wobble(size), Brightness(0.1), Contrast(0.1)]
    crop = v2.RandomResizedCrop(size, scale=(CROP_SCALE[preprocessing.fit], 1.0), antialias=True,
                                interpolation=InterpolationMode.BILINEAR)
    steps: list[Transform] = [crop, v2.RandomHorizontalFlip(), Brightness(0.2), Contrast(0.2)]
    if channels == 3:
        steps.append(v2.ColorJitter(saturation=0.2, hue=0.02))
    if preset == "strong":
        # TrivialAugment (Müller & Hutter, ICCV 2021) mixes colours, which only grey and RGB have.
        steps.append(v2.TrivialAugmentWide() if channels in (1, 3) else Wobble(size))
        steps.append(v2.RandomErasing(p=0.25, value=preprocessing.background))
    return steps


class Wobble:
    """Rotates by up to 10 degrees, shifts by up to 8 %, scales by up to 10 %; the border is filled by its edge."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.margin = round(0.25 * size)
        total = size + 2 * self.margin
        shift = 0.08 * size / total
        self.affine = v2.RandomAffine(10, translate=(shift, shift), scale=(0.9, 1.1),
                                      interpolation=InterpolationMode.BILINEAR)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return uint8 [C, size, size] from the same."""
        # A constant fill would draw corners whose colour no real picture has.
        wide = functional.pad(image, [self.margin] * 4, padding_mode="edge")
        return functional.center_crop(self.affine(wide), [self.size, self.size])


class Brightness:
    """Multiplies all channels by a factor of 1 plus or minus `strength`."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return uint8 [C, H, W] from the same."""
        return _bytes(image.float() * _factor(self.strength))


class Contrast:
    """Stretches about the picture's mean by a factor of 1 plus or minus `strength`; for any number of channels."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return uint8 [C, H, W] from the same."""
        pixels = image.float()
        # An exact integer sum: a float mean depends on how the threads split it.
        mean = float(image.sum(dtype=torch.int64)) / image.numel()
        return _bytes((pixels - mean) * _factor(self.strength) + mean)


def _factor(strength: float) -> float:
    return 1 + strength * (2 * float(torch.rand(())) - 1)


def _bytes(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
