"""Values that pass between layers: shapes, units and ranges, said once.

# B images in a batch, H height, W width in pixels, C classes, D features, N samples, K boxes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

SplitName = Literal["train", "val", "test"]
ImageSource = Path | Callable[[], bytes]
"""A file, or a picklable call that returns the encoded bytes (an image inside a table or an archive)."""


IGNORED, UNMARKED = 255, 254
"""In an array of class indices: a pixel of no class; one that this file leaves to the others of the picture."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the upright picture. They are edges, not pixel numbers: the first pixel reaches
from 0 to 1, the whole picture is (0, 0, W, H), and the width is right - left."""


@dataclass(frozen=True, slots=True)
class Rle:
    """A mask as run lengths, column by column from the top left, the first run being of zeros (COCO, uncompressed)."""

    height: int
    width: int
    counts: tuple[int, ...]
    """They add up to height * width."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One object in an image."""

    label: int
    """Class index."""
    box: Box
    crowd: bool = False
    """Whether the box holds many objects that were not marked one by one: no example to learn, no miss to count."""
    difficult: bool = False
    """Pascal VOC's mark of what is hard to tell even for people: learned, but not counted as a miss."""
    polygons: tuple[tuple[float, ...], ...] = ()
    """Outlines of its parts, each x0, y0, x1, y1, ... in the coordinates of the box; empty where there is none."""
    rle: Rle | None = None
    """Its mask, where the data have one instead of outlines."""


@dataclass(frozen=True, slots=True)
class Codes:
    """What the numbers in a mask file mean."""

    labels: Mapping[int, int]
    """Number -> class index, or UNMARKED; of colours the number is red * 65536 + green * 256 + blue."""
    ignored: frozenset[int] = frozenset()
    """Numbers of pixels that are of no class: neither learned nor judged."""
    others: int | None = None
    """Class index of every number that is not named, where the file marks one class; None forbids them."""
    colours: bool = False
    """Whether the numbers are colours."""


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The class of each pixel of an image, as files have it."""

    sources: tuple[ImageSource, ...]
    """One file, or one for each class, of which later ones lie over earlier ones."""
    codes: tuple[Codes, ...]
    """Of each file."""
    unmarked: int = IGNORED
    """Class index of a pixel that no file marks."""


@dataclass(frozen=True, slots=True)
class MaskShapes:
    """The class of each pixel of an image, as outlines and run lengths say it; drawn when it is asked for."""

    objects: tuple[Instance, ...]
    """Each with an outline or a mask. A crowd, and one whose label is IGNORED, marks what is of no class."""
    size: tuple[int, int]
    """Height and width of the picture."""
    unmarked: int
    """Class index of a pixel that no object takes."""


Mask = MaskFiles | MaskShapes


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is known of it."""

    id: str
    """Unique in its dataset and printable: the path relative to the root, or `row 12`."""
    source: ImageSource
    label: int | tuple[int, ...] | None
    """Class index; a tuple of them for multi-label, and of those that `objects` or `mask` show; None where unlabelled.
    """
    split: SplitName | None = None
    """The split that the data came with, if any."""
    group: str | None = None
    """Samples of one group (patient, plant, burst of frames) never land in two splits."""
    weight: float = 1.0
    """What it counts in the loss of training, 0 or more; a detector's validation counts all images alike."""
    objects: tuple[Instance, ...] | None = None
    """For detection: what was marked, in the order of the file; empty where the picture shows none of the classes."""
    annotated: tuple[int, int] | None = None
    """Height and width of the picture, as its annotation says; None where it says nothing."""
    where: str = ""
    """Where its annotation stands, for messages: a file, with the row or the id."""
    mask: Mask | None = None
    """For semantic segmentation: the class of each pixel."""


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


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector says of one image, the surest first."""

    boxes: np.ndarray
    """float32 [K, 4], each a `Box`."""
    scores: np.ndarray
    """float32 [K], 0..1."""
    labels: np.ndarray
    """int64 [K] class indices."""
    masks: tuple[Rle, ...] | None = None
    """The pixels of each, in the picture; None from a detector that tells boxes alone."""

    def some(self, rows: np.ndarray) -> Detections:
        """Return those of the rows, int64 [K'] or bool [K]."""
        places = rows.nonzero()[0] if rows.dtype == bool else rows
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows],
                          None if self.masks is None else tuple(self.masks[place] for place in places))
