"""Segmentation: what the page shows of a segmenter on the proving split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from headstart.data.pixel_classes import palette
from headstart.report import svg, words
from headstart.report.confusion import Confusion, of_matrix
from headstart.report.mask_overlays import MaskOverlay, worst_masks
from headstart.report.mistakes import Pictures
from headstart.report.records import Interval
from headstart.report.segmentation_records import MaskClass, MaskDetails

LEFT, RIGHT, ROW = 130, 340, 26
BARS = 40
"""Classes that get a bar."""


@dataclass(frozen=True)
class SegmentationSections:
    """The figures and tables of a segmenter; what the run has not recorded is empty."""

    details: MaskDetails
    bars: str
    classes: list[tuple[str, MaskClass]]
    """By IoU, the best first; undefined ones last."""
    boundaries: list[tuple[str, MaskClass]]
    """The same, by boundary F1; empty where boundaries were not measured."""
    confusion: Confusion | None
    overlays: list[MaskOverlay]
    legend: list[tuple[str, str]]
    """(class, colour as #rrggbb)."""


def segmentation_sections(details: MaskDetails, predictions: pd.DataFrame | None, *, classes: list[str],
                          root: Path | None, pictures: Pictures) -> SegmentationSections:
    """Return the sections. predictions: the rows of the split."""
    ordered = sorted(details.per_class.items(), key=lambda item: _best_first(item[1].iou))
    at_edges = sorted((item for item in ordered if item[1].distances is not None),
                      key=lambda item: _best_first(item[1].boundary_f1))
    colours = palette(len(classes))
    return SegmentationSections(
        details, _bars(ordered), ordered, at_edges,
        of_matrix(details.confusion, classes) if details.confusion else None,
        [] if predictions is None else worst_masks(predictions, classes, root=root, pictures=pictures),
        [(name, "#{:02x}{:02x}{:02x}".format(*colours[label])) for label, name in enumerate(classes)])


def _best_first(found: Interval) -> tuple[bool, float]:
    return found.value is None, -(found.value or 0.0)


def _bars(ordered: list[tuple[str, MaskClass]]) -> str:
    """Return a bar for the IoU of each class, with its interval."""
    shown = [(name, found.iou) for name, found in ordered if found.iou.value is not None][:BARS]
    if not shown:
        return ""
    x = svg.Scale(0.0, 1.0, LEFT, RIGHT)
    bottom = 32 + ROW * len(shown)
    body = [svg.element("line", x1=x(mark), x2=x(mark), y1=28, y2=bottom, class_="grid")
            + svg.text(f"{mark:g}", x(mark), bottom + 17, anchor="middle", class_="tick")
            for mark in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for place, (name, iou) in enumerate(shown):
        y = 34 + ROW * place
        value, span = words.number(iou.value), words.span("miou", iou.low, iou.high)
        whisker = "" if iou.low is None or iou.high is None else svg.element(
            "line", x1=x(iou.low), x2=x(iou.high), y1=y + 8, y2=y + 8, class_="whisker")
        body.append(svg.element(
            "g", svg.title(f"{name}: {value} ({span})"),
            svg.text(name if len(name) < 19 else f"{name[:17]}...", LEFT - 8, y + 14, anchor="end", class_="label"),
            svg.element("rect", x=LEFT, y=y, width=max(1.0, x(iou.value or 0.0) - LEFT), height=ROW - 10,
                        class_="right"), whisker, svg.text(value, RIGHT + 10, y + 14, class_="tick value")))
    told = "; ".join(f"{name} {words.number(iou.value)}" for name, iou in shown)
    return svg.picture(
        "class-iou", svg.text("Intersection over union, with 95 % interval", 4, 16, class_="heading"), *body,
        words="IoU of each class", description=told, width=420, height=bottom + 30)
