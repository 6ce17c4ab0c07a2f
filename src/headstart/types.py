"""Values that pass between layers: shapes, units and ranges, said once.

# B images in a batch, H height, W width in pixels, C classes, D features, N samples
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

SplitName = Literal["train", "val", "test"]
ImageSource = Path | Callable[[], bytes]
"""A file, or a picklable call that returns the encoded bytes (an image inside a table or an archive)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is known of it."""

    id: str
    """Unique in its dataset and printable: the path relative to the root, or `row 12`."""
    source: ImageSource
    label: int | tuple[int, ...] | None
    """Class index; a tuple of them for multi-label; None where unlabelled."""
    split: SplitName | None = None
    """The split that the data came with, if any."""
    group: str | None = None
    """Samples of one group (patient, plant, burst of frames) never land in two splits."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as the learner sees it."""

    images: torch.Tensor
    """float32 [B, channels, H, W], normalised."""
    targets: torch.Tensor
    """int64 [B] class indices, or float32 [B, C] in 0..1 for multi-label and mixed labels."""
    weights: torch.Tensor
    """float32 [B], mean 1 over the training split."""
    indices: torch.Tensor
    """int64 [B], position of each sample in its split."""


@dataclass(frozen=True, slots=True)
class Features:
    """Pooled features of a split, in the order of its samples."""

    vectors: np.ndarray
    """float32 [N, D]; may be a read-only memory map."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one image."""

    image: str
    label: str | tuple[str, ...] | None
    """Class name; all names that reach their threshold for multi-label; None when the image could not be read."""
    probabilities: dict[str, float] | None
    """Calibrated probability of each class, 0..1."""
    error: str | None = None
