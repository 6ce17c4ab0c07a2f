"""Records of detection: the shape of a split in details.json, and the columns of predictions.parquet."""

from __future__ import annotations

from pydantic import Field, model_validator

from headstart.report.records import Bins, Interval, Shape

COLUMNS = ("id", "path", "split", "boxes", "scores", "labels", "kinds", "true_boxes", "true_labels", "true_states")
"""A row for each image. boxes, true_boxes: lists of (left, top, right, bottom) in pixels of the upright picture; kinds:
of each detection `right`, `below` (its class's threshold), `ignored`, or a kind of error; true_states: of each object
`found`, `missed`, `mistaken` or `ignored`."""


class BoxClass(Shape):
    """What was measured of one class; None where it is undefined."""

    ap: float | None = None
    ap50: Interval = Interval(value=None, low=None, high=None)
    mask_ap50: Interval | None = None
    """None from a detector of boxes alone."""
    ap75: float | None = None
    ar100: float | None = None
    threshold: float = 0.5
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    support: int = 0
    images: int = 0
    detections: int = 0


class Curve(Shape):
    """Values at the `recalls` (the first) and at the `confidences` (the others) of the same record."""

    precision_at_recall: list[float]
    precision: list[float]
    recall: list[float]
    f1: list[float]


class BoxCurves(Shape):
    """Curves at IoU 0.5; None for a class without objects."""

    recalls: list[float]
    confidences: list[float]
    overall: Curve | None = None
    per_class: dict[str, Curve | None] = Field({})

    @model_validator(mode="after")
    def _lengths(self) -> BoxCurves:
        for curve in [self.overall, *self.per_class.values()]:
            if curve and (len(curve.precision_at_recall) != len(self.recalls) or any(
                    len(line) != len(self.confidences) for line in (curve.precision, curve.recall, curve.f1))):
                raise ValueError("a curve has another number of points than its axis")
        return self


class ErrorKind(Shape):
    """How often a kind of error was made, and how much AP50 would rise without it."""

    count: int
    gain: float | None


class Tide(Shape):
    """Why the detector errs (TIDE)."""

    ap50: float | None
    errors: dict[str, ErrorKind]
    false_positives: float | None = None
    false_negatives: float | None = None


class BoxCounts(Shape):
    """How many there were."""

    images: int
    images_without_objects: int = 0
    objects: int
    ignored: int = 0
    detections: int


class BoxDetails(Shape):
    """One split of details.json, where the task is detection."""

    per_class: dict[str, BoxClass]
    curves: BoxCurves | None = None
    confusion: list[list[int]] = Field([])
    """Rows are the true class, columns what was said; the last of each is background."""
    tide: Tide | None = None
    reliability: Bins = Field([])
    thresholds: list[float] = Field(min_length=1)
    thresholds_chosen: str = "before"
    """`before`, on validation, or `here`, on the images that are judged."""
    f1: float | None = None
    counts: BoxCounts

    @property
    def has_masks(self) -> bool:
        """Whether masks were judged, too."""
        return any(found.mask_ap50 for found in self.per_class.values())
