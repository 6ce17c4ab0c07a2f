"""Records of semantic segmentation: the shape of a split in details.json, and the columns of predictions.parquet."""

from __future__ import annotations

from pydantic import Field

from headstart.report.records import Interval, Shape

COLUMNS = ("id", "path", "split", "miou", "pixel_accuracy", "true_pixels", "predicted_pixels", "right_pixels", "truth",
           "answer")
"""A row for each image. The pixels are lists by class; truth and answer are small PNGs of class indices."""


class MaskClass(Shape):
    """What was measured of one class; None where it is undefined."""

    iou: Interval = Interval(value=None, low=None, high=None)
    dice: Interval = Interval(value=None, low=None, high=None)
    precision: float | None = None
    recall: float | None = None
    pixels: int = 0
    images: int = 0


class MaskCounts(Shape):
    """How many there were."""

    images: int
    pixels: int
    images_ignored: int = 0


class MaskDetails(Shape):
    """One split of details.json, where the task is semantic segmentation."""

    per_class: dict[str, MaskClass]
    confusion: list[list[int]] = Field([])
    """Pixels; rows are the true class, columns what was said."""
    counts: MaskCounts
