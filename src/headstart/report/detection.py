"""Detection: what the page shows of a detector on the proving split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from headstart.report import figures
from headstart.report.confusion import Confusion, of_matrix
from headstart.report.detection_curves import class_curves, f1_curve, precision_recall
from headstart.report.detection_errors import KINDS, error_bars
from headstart.report.detection_records import BoxClass, BoxDetails, ErrorKind
from headstart.report.mistakes import Pictures
from headstart.report.overlays import Overlay, worst_overlays

BACKGROUND = "background"


@dataclass(frozen=True)
class DetectionSections:
    """The figures and tables of a detector; what the run has not recorded is empty."""

    details: BoxDetails
    curves: list[str]
    class_curves: list[str]
    more_classes: int
    """Classes that have no figure of their own."""
    errors: str
    error_rows: list[tuple[str, str, ErrorKind]]
    """(short name, what it means, how often and how dear)."""
    confusion: Confusion | None
    reliability: str
    classes: list[tuple[str, BoxClass]]
    """By AP50, the best first; undefined ones last."""
    overlays: list[Overlay]
    wrong: int
    """Images with an error."""


def detection_sections(details: BoxDetails, predictions: pd.DataFrame | None, *, classes: list[str],
                       error: float | None, root: Path | None, pictures: Pictures) -> DetectionSections:
    """Return the sections. predictions: the rows of the split. error: the calibration error, for a heading."""
    curves = [precision_recall(details.curves), f1_curve(details.curves)] if details.curves else []
    single, more = class_curves(details)
    bars = error_bars(details.tide) if details.tide else ""
    rows = [(*KINDS[kind], found) for kind, found in details.tide.errors.items() if kind in KINDS] if bars and \
        details.tide else []
    # No background is truly there: the last row has made-up boxes only, and its last cell counts nothing.
    matrix = of_matrix(details.confusion, [*classes, BACKGROUND]) if details.confusion else None
    overlays, wrong = ([], 0) if predictions is None else worst_overlays(predictions, classes, root=root,
                                                                         pictures=pictures)
    return DetectionSections(
        details, [figure for figure in curves if figure], single, more, bars, rows, matrix,
        figures.reliability("reliability-boxes", details.reliability, heading="Scores against precision", error=error),
        sorted(details.per_class.items(), key=lambda item: (item[1].ap50.value is None, -(item[1].ap50.value or 0.0))),
        overlays, wrong)
