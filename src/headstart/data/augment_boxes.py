"""Augmentation of pictures with boxes: the presets of `augment`, as far as they go with boxes.

    none      the very pixels that validation sees
    light     shift, scale and brightness; no mirror: safe for digits, text and medical images
    standard  mirror, zoom out, crop that keeps objects, colour
    strong    standard, stronger, also upside down, objects of other pictures pasted in, mosaics of four pictures

No preset rotates: a turned box would enclose more than its object. The overfitting watch raises the strength by level,
as in `augment`. A picture never grows: what comes out fits into the height and width of what came in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from headstart.data.augment import Preset, colours
from headstart.data.transforms import to_tensor

LEAST_SIDE = 2.0
"""Pixels of a box below which it is let go of after a crop."""

# C channels, H height, W width, K boxes


@dataclass(frozen=True)
class Boxed:
    """A picture with its boxes."""

    picture: np.ndarray
    """uint8 [H, W, C]."""
    boxes: np.ndarray
    """float32 [K, 4], each left, top, right, bottom in pixels of the picture."""
    labels: np.ndarray
    """int64 [K]."""
    masks: np.ndarray | None = field(default=None, kw_only=True)
    """bool [K, H, W], the pixels of each object, where they are to be learned."""


@dataclass(frozen=True)
class Varied:
    """A picture with its boxes as it is learned from."""

    image: torch.Tensor
    """uint8 [C, H', W']."""
    boxes: torch.Tensor
    """float32 [K', 4]."""
    labels: torch.Tensor
    """int64 [K']."""
    masks: torch.Tensor | None = None
    """uint8 [K', H', W'], 1 for the pixels of each object."""


class BoxAugment:
    """Varies pictures with boxes, from a seed and nothing else."""

    def __init__(self, preset: Preset, *, background: int, channels: int, level: int = 0) -> None:
        if preset == "none" and level:
            preset, level = "light", level - 1
        self.mosaic = 0.5 if preset == "strong" else 0.0
        """The chance that the caller makes a mosaic of four pictures first."""
        self.paste = 0.5 if preset == "strong" else 0.0
        """The chance that the caller, before that, pastes objects of another picture in (`copy_paste`)."""
        factor = (1.5 if preset == "strong" else 1.0) * (1 + level / 2)
        self._geometry = _geometry(preset, background, factor)
        self._colour = colours(preset, channels, factor)

    def __call__(self, item: Boxed, *, seed: int) -> Varied:
        """Return the picture, varied; equal seeds give equal ones. Masks are never interpolated."""
        image, height, width = to_tensor(item.picture), *item.picture.shape[:2]
        boxes, labels = torch.from_numpy(item.boxes).float(), torch.from_numpy(item.labels)
        masks = None if item.masks is None else torch.from_numpy(np.ascontiguousarray(item.masks, np.uint8))
        if not self._geometry and not self._colour:
            return Varied(image, boxes, labels, masks)
        # Only the CPU generator is borrowed: torch.manual_seed would also disturb the accelerator's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for step in self._colour:
                image = step(image)
            entry = {"image": tv_tensors.Image(image), "labels": labels, "boxes": tv_tensors.BoundingBoxes(
                boxes.reshape(-1, 4), format="XYXY", canvas_size=(height, width))}  # type: ignore[call-overload]
            if masks is not None:
                entry["masks"] = tv_tensors.Mask(masks)
            for transform in self._geometry:
                entry = transform(entry)
            entry = _within(entry, height, width)
        return Varied(entry["image"].as_subclass(torch.Tensor).contiguous(),
                      entry["boxes"].as_subclass(torch.Tensor), entry["labels"],
                      None if masks is None else entry["masks"].as_subclass(torch.Tensor).contiguous())


def mosaic(items: list[Boxed], *, background: int, rng: np.random.Generator) -> Boxed:
    """Return four pictures as one, each shrunk into a quarter about a random centre; it has the size of the first.

    Source: Bochkovskiy et al., "YOLOv4", 2020, section 3.3; without its crop.
    """
    height, width, channels = items[0].picture.shape
    middle_y, middle_x = (int(side * rng.uniform(0.35, 0.65)) for side in (height, width))
    canvas = np.full((height, width, channels), background, np.uint8)
    boxes, labels = [], []
    for number, item in enumerate(items):
        top, bottom = (0, middle_y) if number < 2 else (middle_y, height)
        left, right = (0, middle_x) if number % 2 == 0 else (middle_x, width)
        scale = min((bottom - top) / item.picture.shape[0], (right - left) / item.picture.shape[1])
        small = scaled(item.picture, scale)
        canvas[top:top + small.shape[0], left:left + small.shape[1]] = small
        factors = np.array([small.shape[1] / item.picture.shape[1], small.shape[0] / item.picture.shape[0]] * 2)
        boxes.append(item.boxes * factors + [left, top, left, top])
        labels.append(item.labels)
    together, of = np.concatenate(boxes).astype(np.float32), np.concatenate(labels)
    large = (np.minimum(together[:, 2] - together[:, 0], together[:, 3] - together[:, 1]) >= LEAST_SIDE)
    return Boxed(canvas, together[large], of[large])


def scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    """Return uint8 [H, W, C] resized by a factor, sides rounded down, with antialiasing."""
    height, width = (max(1, int(side * scale)) for side in picture.shape[:2])
    resized = v2.functional.resize(to_tensor(picture), [height, width], antialias=True)
    return np.ascontiguousarray(resized.numpy().transpose(1, 2, 0))


def _geometry(preset: Preset, background: int, factor: float) -> list[v2.Transform]:
    clean = v2.SanitizeBoundingBoxes(min_size=LEAST_SIDE)
    fill = {tv_tensors.Image: background, tv_tensors.Mask: 0}
    if preset == "none":
        return []
    if preset == "light":
        shift, zoom = min(0.3, 0.08 * factor), min(0.3, 0.1 * factor)
        affine = v2.RandomAffine(0, translate=(shift, shift), scale=(1 - zoom, 1 + zoom), fill=fill,
                                 interpolation=InterpolationMode.BILINEAR)
        return [affine, v2.ClampBoundingBoxes(), clean]
    steps: list[v2.Transform] = [
        v2.RandomZoomOut(fill=fill, side_range=(1.0, 1 + 0.5 * factor), p=0.3),
        v2.RandomApply([v2.RandomIoUCrop(min_scale=max(0.2, 0.5 / factor))], p=0.5), clean,
        v2.RandomHorizontalFlip()]
    return steps if preset == "standard" else [*steps, v2.RandomVerticalFlip()]


def _within(entry: dict[str, torch.Tensor], height: int, width: int) -> dict[str, torch.Tensor]:
    """Return the entry, resized so that it just fits into the height and the width."""
    now_high, now_wide = entry["image"].shape[-2:]
    scale = min(height / now_high, width / now_wide)
    size = [max(1, min(height, round(now_high * scale))), max(1, min(width, round(now_wide * scale)))]
    if size == [now_high, now_wide]:
        return entry
    # Rounding may leave a box beyond the edge by the last bit.
    found: dict[str, torch.Tensor] = v2.ClampBoundingBoxes()(v2.Resize(size, antialias=True)(entry))
    return found
