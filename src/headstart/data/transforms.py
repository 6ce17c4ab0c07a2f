"""Preprocessing: from a decoded picture to the tensor that a backbone expects; and augmentation presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from headstart.images import decode
from headstart.part import Part
from headstart.types import ImageSource

if TYPE_CHECKING:
    import torch  # at run time only inside functions: `headstart models` reads records without waiting for it

INTERPOLATION = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
                 "nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS}


class Preprocessing(Part):
    """How a picture becomes a tensor. It travels with the model into every run, export and server."""

    size: int = Field(224, ge=8, le=4096)
    """Height and width of the input, in pixels."""
    channels: int = Field(3, ge=1, le=64)
    """1 grey, 3 RGB, 4 RGB and alpha."""
    fit: Literal["crop", "squash", "pad"] = "crop"
    """`crop`: resize the shorter side, cut the centre; `squash`: ignore the aspect; `pad`: keep all, fill."""
    crop_fraction: float = Field(0.875, gt=0, le=1)
    """Share of the resized shorter side that the centre cut keeps; only used by `crop`."""
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"] = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    background: int = Field(255, ge=0, le=255)
    """Grey level that transparent pixels and padding are laid on."""

    def pixels(self, source: ImageSource) -> np.ndarray:
        """Return the decoded, resized and cut picture: uint8 [size, size, channels]. Raises DataError."""
        return self.arrange(decode(source, channels=self.channels, background=self.background))

    def arrange(self, picture: np.ndarray) -> np.ndarray:
        """Resize and cut uint8 [H, W, channels] to uint8 [size, size, channels]."""
        if self.fit == "squash":
            return self.resize(picture, (self.size, self.size))
        if self.fit == "pad":
            return _centred(self.whole(picture), self.size, fill=self.background)
        return _centred(self.shrink(picture, self.short_side), self.size, fill=self.background)

    def whole(self, picture: np.ndarray) -> np.ndarray:
        """Return the picture with its longer side brought to `size` and its aspect kept: what a detector reads."""
        return self.resize(picture, self.whole_size(*picture.shape[:2]))

    def whole_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of what `whole` gives."""
        scale = self.size / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    @property
    def short_side(self) -> int:
        """Pixels of the shorter side before the centre is cut out; only used by `crop`."""
        # Rounded down, here and below, as torchvision and timm do: published accuracies were measured so.
        return max(self.size, int(self.size / self.crop_fraction))

    def shrink(self, picture: np.ndarray, short: int) -> np.ndarray:
        """Resize so that the shorter side has `short` pixels."""
        height, width = picture.shape[:2]
        # A strip of 1 x 20000 would be enlarged to gigapixels: only the part that the cut can reach is resized.
        limit = 8 * min(height, width)
        if max(height, width) > limit:
            picture = _middle(picture, min(height, limit), min(width, limit))
            height, width = picture.shape[:2]
        least = min(height, width)
        return self.resize(picture, (short * height // least, short * width // least))

    def resize(self, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Resize to (height, width) with antialiasing by Pillow, channel by channel where it must."""
        if picture.shape[:2] == size:
            return picture
        method = INTERPOLATION[self.interpolation]
        target = (size[1], size[0])
        if picture.shape[2] in (3, 4):
            # As RGBX: Pillow would premultiply alpha, which is not what a fourth channel means here.
            mode = "RGB" if picture.shape[2] == 3 else "CMYK"
            return np.asarray(Image.frombuffer(mode, (picture.shape[1], picture.shape[0]),
                                               np.ascontiguousarray(picture), "raw", mode, 0, 1)
                              .resize(target, method))
        planes = [np.asarray(Image.fromarray(np.ascontiguousarray(picture[..., c])).resize(target, method))
                  for c in range(picture.shape[2])]
        return np.stack(planes, axis=-1)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 [..., channels, size, size] from uint8 of that shape: (x / 255 - mean) / std."""
        import torch

        mean, std = (torch.tensor(v, device=pixels.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return pixels.float().div_(255).sub_(mean).div_(std)

    def __call__(self, source: ImageSource) -> torch.Tensor:
        """Return float32 [channels, size, size], the one tensor that this file gives everywhere."""
        return self.normalise(to_tensor(self.pixels(source)))


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Return uint8 [C, H, W] from uint8 [H, W, C]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _middle(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = round((picture.shape[0] - height) / 2), round((picture.shape[1] - width) / 2)
    return picture[top:top + height, left:left + width]


def _centred(picture: np.ndarray, size: int, *, fill: int) -> np.ndarray:
    """Cut or fill uint8 [H, W, C] to [size, size, C] about its centre."""
    picture = _middle(picture, min(size, picture.shape[0]), min(size, picture.shape[1]))
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture
    canvas = np.full((size, size, picture.shape[2]), fill, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top:top + height, left:left + width] = picture
    return canvas
