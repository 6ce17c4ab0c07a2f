"""Records of semantic segmentation: the shape of a split in details.json, and the columns of predictions.parquet."""

from __future__ import annotations

from pydantic import Field

from headstart.report.records import Interval, Shape

COLUMNS = ("id", "path", "split", "miou", "pixel_accuracy", "true_pixels", "predicted_pixels", "right_pixels", "truth",
           "answer")
"""A row for each image. The pixels are lists by class; truth and answer are small PNGs of class indices."""
UNDEFINED = Interval(value=None, low=None, high=None)


class MaskClass(Shape):
    """What was measured of one class; None where it is undefined."""

    iou: Interval = UNDEFINED
    dice: Interval = UNDEFINED
    boundary_f1: Interval = UNDEFINED
    boundary_iou: Interval = UNDEFINED
    hd95: Interval = UNDEFINED
    assd: Interval = UNDEFINED
    precision: float | None = None
    recall: float | None = None
    pixels: int = 0
    images: int = 0
    missed: int = 0
    """Images whose answer has nothing of the class, though the truth has."""
    made_up: int = 0
    """The other way round."""
    distances: int | None = None
    """Images that hd95 and assd are means over; None where boundaries were not measured."""


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
