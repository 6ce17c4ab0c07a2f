"""Augmentation of pictures with the class of each pixel: the presets of `augment`, as far as they go with masks.

    none      the very pixels that validation sees
    light     shift, scale and brightness; no mirror: safe where left and right differ
    standard  mirror, zoom in and out, small turns, colour; half of the zooms look at a rare class
    strong    standard, stronger, also upside down, any turn, elastic

A mask is never interpolated: each of its pixels is one of the picture's, or IGNORED where there is no picture. The
overfitting watch raises the strength by level, as in `augment`. What comes out has the size of what came in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from headstart.data.augment import Preset, colours
from headstart.data.transforms import to_tensor
from headstart.types import IGNORED

RECOLOURED = 2.0
"""Strength of `Recolour`, as a multiple of that of the colours of `standard`."""
BLUR = 5
"""Pixels of the kernel of its blur."""

# C channels, H height, W width


@dataclass(frozen=True)
class Labelled:
    """A picture with the class of each pixel."""

    picture: np.ndarray
    """uint8 [H, W, C]."""
    classes: np.ndarray
    """uint8 [H, W], class indices or IGNORED."""


class MaskAugment:
    """Varies pictures with masks, from a seed and nothing else."""

    def __init__(self, preset: Preset, *, background: int, channels: int, level: int = 0) -> None:
        if preset == "none" and level:
            preset, level = "light", level - 1
        self._preset, self._background = preset, background
        self._factor = (1.5 if preset == "strong" else 1.0) * (1 + level / 2)
        self._colour = colours(preset, channels, self._factor)

    def __call__(self, item: Labelled, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image uint8 [C, H, W] and classes uint8 [H, W]; equal seeds give equal ones."""
        image, mask = to_tensor(item.picture), torch.from_numpy(np.ascontiguousarray(item.classes))
        if self._preset == "none":
            return image, mask
        # Only the CPU generator is borrowed: torch.manual_seed would also disturb the accelerator's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for step in self._colour:
                image = step(image)
            entry = {"image": tv_tensors.Image(image), "mask": tv_tensors.Mask(mask[None])}
            for transform in self._geometry(item.classes):
                entry = transform(entry)
        return (entry["image"].as_subclass(torch.Tensor).contiguous(),
                entry["mask"].as_subclass(torch.Tensor)[0].contiguous())

    def _geometry(self, classes: np.ndarray) -> list[v2.Transform]:
        """Return the transforms of one picture, drawn from the generator that is in use."""
        fill = {tv_tensors.Image: self._background, tv_tensors.Mask: IGNORED}
        shared = {"fill": fill, "interpolation": InterpolationMode.BILINEAR}
        factor = self._factor
        if self._preset == "light":
            shift, zoom = min(0.3, 0.08 * factor), min(0.3, 0.1 * factor)
            return [v2.RandomAffine(0, translate=(shift, shift), scale=(1 - zoom, 1 + zoom), **shared)]
        turn = 180.0 if self._preset == "strong" else min(30.0, 5 * factor)
        scale = float(torch.empty(1).uniform_(max(0.5, 1 - 0.25 * factor), min(2.5, 1 + 0.75 * factor)))
        steps: list[v2.Transform] = [
            _Zoom(scale, _looked_at(classes), fill), v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.RandomRotation(turn, **shared)], p=0.3)]  # type: ignore[arg-type]
        if self._preset == "strong":
            # The blur of the elastic shifts reaches over 4 sigma, which have to lie within the picture.
            sigma = min(6.0, max(0.1, (min(classes.shape) - 2) / 4))
            elastic = v2.ElasticTransform(alpha=5 * sigma * factor, sigma=sigma, **shared)  # type: ignore[arg-type]
            steps += [v2.RandomVerticalFlip(), v2.RandomApply([elastic], p=0.3)]
        return steps


class Recolour:
    """Varies light and colours strongly and blurs every second image; each pixel stays where it is."""

    def __init__(self, *, channels: int) -> None:
        self._colour = colours("strong", channels, RECOLOURED)
        self._blur = v2.RandomApply([v2.GaussianBlur(BLUR, sigma=(0.1, 2.0))], p=0.5)

    def __call__(self, image: torch.Tensor, *, seed: int) -> torch.Tensor:
        """Return uint8 [C, H, W] from the same; equal seeds give equal ones."""
        # Only the CPU generator is borrowed: torch.manual_seed would also disturb the accelerator's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for step in self._colour:
                image = step(image)
            if min(image.shape[-2:]) > BLUR:
                image = self._blur(image)
        return image.contiguous()


class _Zoom(v2.Transform):
    """Enlarges about a point, or shrinks, and keeps the size; what lies outside the picture is filled."""

    def __init__(self, scale: float, about: tuple[float, float], fill: dict[type, int]) -> None:
        """about: row and column, in shares of the sides."""
        super().__init__()
        self.scale, self.about, self.fill = scale, about, fill

    def transform(self, inpt: torch.Tensor, params: dict[str, object]) -> torch.Tensor:
        """Return the picture, or the mask, of the same size."""
        height, width = inpt.shape[-2:]
        high, wide = (max(1, round(side * self.scale)) for side in (height, width))
        if isinstance(inpt, tv_tensors.Mask):
            found = v2.functional.resize(inpt, [high, wide], interpolation=InterpolationMode.NEAREST_EXACT)
        else:
            found = v2.functional.resize(inpt, [high, wide], antialias=True)
        if self.scale >= 1:
            top, left = (round(min(max(share * new - old / 2, 0), new - old))
                         for share, new, old in zip(self.about, (high, wide), (height, width), strict=True))
            return v2.functional.crop(found, top, left, height, width)
        top, left = (round(share * (old - new)) for share, new, old
                     in zip(self.about, (high, wide), (height, width), strict=True))
        return v2.functional.pad(found, [left, top, width - wide - left, height - high - top],
                                 fill=self.fill[type(inpt)])


def _looked_at(classes: np.ndarray) -> tuple[float, float]:
    """Return the point, in shares of the sides, that a zoom keeps in view: half the time a pixel of a class that is
    drawn first, so that rare ones are looked at as often as common ones.
    """
    anywhere = torch.rand(3)
    if anywhere[2] >= 0.5:
        return float(anywhere[0]), float(anywhere[1])
    labels = np.unique(classes)
    labels = labels[labels != IGNORED]
    if not len(labels):
        return float(anywhere[0]), float(anywhere[1])
    label = labels[int(torch.randint(len(labels), (1,)))]
    pixels = np.flatnonzero(classes == label)
    row, column = np.unravel_index(pixels[int(torch.randint(len(pixels), (1,)))], classes.shape)
    return (row + 0.5) / classes.shape[0], (column + 0.5) / classes.shape[1]
