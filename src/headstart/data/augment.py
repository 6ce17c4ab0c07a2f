"""Augmentation: four presets that vary a training picture, from a seed and nothing else.

    none      the very pixels that validation sees
    light     small shift, scale, rotation and brightness; no mirror: safe for digits, text and medical images
    standard  random resized crop, mirror, colour
    strong    standard, then TrivialAugment and random erasing

On top of each a `policy`: RandAugment (Cubuk et al., NeurIPS 2020) or TrivialAugment (Müller & Hutter, ICCV 2021), the
latter with rotations up to 135 degrees; and `erasing` (Zhong et al., AAAI 2020), the chance of blotting out a box.

The schedule by which the overfitting watch raises an augmentation, in levels. It never adds a mirror or a policy:

    level                                            0       1       2
    rotation of light, degrees                       10      15      20
    shift of light, share of the size                0.08    0.12    0.16
    zoom, brightness and contrast of light           0.10    0.15    0.20
    brightness, contrast and saturation of standard  0.20    0.30    0.40      hue a tenth of that
    least area that a crop of standard keeps         0.35    0.23    0.18      pictures shown whole: 0.50, 0.33, 0.25
    magnitude of RandAugment, of 30                  9       14      18        TrivialAugment has the full range always
    chance of erasing                                p       p+0.15  p+0.30    unless the user set it to 0

`strong` goes as `standard`. `none` at level 1 is `light` at 0, and at 2 `light` at 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from headstart.data.transforms import Preprocessing, to_tensor

Preset = Literal["none", "light", "standard", "strong"]
Policy = Literal["preset", "randaugment", "trivialaugment"]
Transform = Callable[[torch.Tensor], torch.Tensor]
HIGHEST_LEVEL = 2
"""How often an augmentation can be raised."""
CROP_SCALE = {"crop": 0.35, "squash": 0.5, "pad": 0.5}
"""Least share of the area that a random crop keeps; what `squash` and `pad` show is the whole picture already."""

# C channels, H height, W width


class Augment:
    """Turns a reduced picture into a training image of the preprocessing's size."""

    def __init__(self, preset: Preset, preprocessing: Preprocessing, *, policy: Policy = "preset",
                 erasing: float | None = None, level: int = 0) -> None:
        assert 0 <= level <= HIGHEST_LEVEL, level
        if preset == "none" and level:
            preset, level = "light", level - 1
        self.preset = preset
        self.preprocessing = preprocessing
        factor = 1 + level / 2
        self.steps = [*_own(preset, preprocessing, factor), *_automatic(preset, preprocessing, policy, factor),
                      *_erasing(preset, preprocessing, erasing, level)]

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


def _own(preset: Preset, preprocessing: Preprocessing, factor: float) -> list[Transform]:
    """Return the preset's own steps, `factor` times as strong."""
    size, channels = preprocessing.size, preprocessing.channels
    if preset == "none":
        return []
    if preset == "light":
        return [Wobble(size, factor), Brightness(0.1 * factor), Contrast(0.1 * factor)]
    crop = v2.RandomResizedCrop(size, scale=(CROP_SCALE[preprocessing.fit] / factor, 1.0), antialias=True,
                                interpolation=InterpolationMode.BILINEAR)
    steps: list[Transform] = [crop, v2.RandomHorizontalFlip(), Brightness(0.2 * factor), Contrast(0.2 * factor)]
    if channels == 3:
        steps.append(v2.ColorJitter(saturation=0.2 * factor, hue=0.02 * factor))
    return steps


def _automatic(preset: Preset, preprocessing: Preprocessing, policy: Policy, factor: float) -> list[Transform]:
    """Return the policy that was asked for, or else the preset's: TrivialAugment in `strong`."""
    chosen = "trivialaugment" if policy == "preset" and preset == "strong" else policy
    if chosen == "preset":
        return []
    if preprocessing.channels not in (1, 3):
        # Both policies mix colours, which only grey and RGB have.
        return [Wobble(preprocessing.size, factor)]
    if chosen == "trivialaugment":
        return [v2.TrivialAugmentWide()]
    return [v2.RandAugment(num_ops=2, magnitude=round(9 * factor))]


def _erasing(preset: Preset, preprocessing: Preprocessing, erasing: float | None, level: int) -> list[Transform]:
    chance = erasing if erasing is not None else 0.25 if preset == "strong" else 0.0
    if erasing != 0:
        chance = min(1.0, chance + 0.15 * level)
    return [v2.RandomErasing(p=chance, value=preprocessing.background)] if chance else []


class Wobble:
    """Rotates by up to 10 degrees, shifts by up to 8 %, scales by up to 10 %, all times `factor`.

    The border is filled by its edge.
    """

    def __init__(self, size: int, factor: float = 1.0) -> None:
        self.size = size
        degrees, shift, zoom = 10 * factor, 0.08 * factor, 0.1 * factor
        angle = math.radians(degrees)
        # How far from the centre the corners look, in sizes: shifted, turned, and zoomed out.
        reach = (0.5 + shift) * (math.cos(angle) + math.sin(angle)) / (1 - zoom)
        self.margin = math.ceil((reach - 0.5) * size)
        share = shift * size / (size + 2 * self.margin)
        self.affine = v2.RandomAffine(degrees, translate=(share, share), scale=(1 - zoom, 1 + zoom),
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


def colours(preset: Preset, channels: int, factor: float) -> list[Transform]:
    """Return the changes of brightness and colour of a preset where places have labels of their own."""
    if preset == "none":
        return []
    strength = (0.1 if preset == "light" else 0.2) * factor
    steps: list[Transform] = [Brightness(strength), Contrast(strength)]
    if preset != "light" and channels == 3:
        steps.append(v2.ColorJitter(saturation=0.2 * factor, hue=0.02 * factor))
    return steps
