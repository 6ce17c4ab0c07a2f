"""Curves of a detector: precision over recall, and what each threshold on the score gives."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.report import svg, words
from headstart.report.axes import axes
from headstart.report.curves import svg_id
from headstart.report.detection_records import BoxCurves, BoxDetails

WIDTH, HEIGHT = 400, 262
LEFT, RIGHT, TOP, BOTTOM = 48, 388, 34, 218
MARKS = [(mark, words.percent(mark, 0)) for mark in (0.0, 0.25, 0.5, 0.75, 1.0)]
SHOWN = 12
"""Classes that get a figure of their own."""


def precision_recall(curves: BoxCurves) -> str:
    """Return precision over recall at IoU 0.5: the mean of the classes, and a thin line for each."""
    if curves.overall is None:
        return ""
    known = [(name, curve) for name, curve in curves.per_class.items() if curve is not None]
    body = [_line(curves.recalls, curve.precision_at_recall, kind="each", hover=name) for name, curve in known]
    body.append(_line(curves.recalls, curves.overall.precision_at_recall, kind="val", hover="mean of the classes"))
    area = sum(curves.overall.precision_at_recall) / len(curves.recalls)
    told = "; ".join(f"{name} {words.number(sum(c.precision_at_recall) / len(curves.recalls))}" for name, c in known)
    return _figure("precision-recall", "Precision over recall", *_legend([("each", "each class"), ("val", "mean")]),
                   *body, below="share of the objects that are found",
                   description=f"Area under the mean {words.number(area)}. By class: {told}.")


def f1_curve(curves: BoxCurves) -> str:
    """Return F1 over the threshold: the mean of the classes at one threshold for all, and a thin line for each."""
    if curves.overall is None:
        return ""
    known = [(name, curve) for name, curve in curves.per_class.items() if curve is not None]
    body = [_line(curves.confidences, curve.f1, kind="each", hover=name) for name, curve in known]
    body.append(_line(curves.confidences, curves.overall.f1, kind="val", hover="mean of the classes"))
    best = max(range(len(curves.confidences)), key=lambda i: curves.overall.f1[i] if curves.overall else 0.0)
    return _figure("f1-confidence", "F1 over the threshold", *_legend([("each", "each class"), ("val", "mean")]), *body,
                   below="threshold on the score",
                   description=f"The mean is highest, {words.number(curves.overall.f1[best])}, at "
                               f"{words.number(curves.confidences[best], 2)}.")


def class_curves(details: BoxDetails) -> tuple[list[str], int]:
    """Return precision, recall and F1 over the threshold for the first classes, the chosen one marked, and the rest."""
    if details.curves is None:
        return [], 0
    known = [name for name, curve in details.curves.per_class.items() if curve is not None]
    return [_of_class(number, name, details) for number, name in enumerate(known[:SHOWN])], max(0, len(known) - SHOWN)


def _of_class(number: int, name: str, details: BoxDetails) -> str:
    assert details.curves is not None
    curve, found = details.curves.per_class[name], details.per_class.get(name)
    assert curve is not None
    places = details.curves.confidences
    body = [_line(places, curve.precision, kind="train", hover="precision"),
            _line(places, curve.recall, kind="recall", hover="recall"), _line(places, curve.f1, kind="val", hover="F1")]
    told = ""
    if found is not None:
        x, _ = _scales()
        place = x(found.threshold)
        anchor, beside = ("end", place - 5) if found.threshold > 0.5 else ("start", place + 5)
        body += [svg.element("line", x1=place, x2=place, y1=TOP, y2=BOTTOM, class_="best"),
                 svg.text(f"chosen {found.threshold:.2f}", beside, BOTTOM - 6, anchor=anchor, class_="tick best-label")]
        told = (f"At the chosen threshold {found.threshold:.2f}: precision {words.number(found.precision)}, recall "
                f"{words.number(found.recall)}, F1 {words.number(found.f1)}.")
    shown = name if len(name) <= 18 else f"{name[:17]}…"
    return _figure(svg_id(f"threshold-{number}"), shown,
                   *_legend([("train", "precision"), ("recall", "recall"), ("val", "F1")]), *body,
                   below="threshold on the score", words_=f"Precision, recall and F1 of {name}", description=told)


def _scales() -> tuple[svg.Scale, svg.Scale]:
    return svg.Scale(0.0, 1.0, LEFT, RIGHT), svg.Scale(0.0, 1.0, BOTTOM, TOP)


def _line(places: Sequence[float], values: Sequence[float], *, kind: str, hover: str) -> str:
    x, y = _scales()
    points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in zip(places, values, strict=True))
    return svg.element("polyline", svg.title(hover), points=points, class_=f"line {kind}")


def _legend(entries: Sequence[tuple[str, str]]) -> list[str]:
    parts, x = [], RIGHT - 78.0 * len(entries) + 20
    for kind, wording in entries:
        parts += [svg.line([(x - 22, 12), (x - 5, 12)], class_=f"line {kind}"),
                  svg.text(wording, x, 16, class_="label")]
        x += 85
    return parts


def _figure(name: str, heading: str, *body: str, below: str, description: str, words_: str = "") -> str:
    x, y = _scales()
    return svg.picture(
        name, svg.text(heading, 4, 16, class_="heading"), axes(x, y, MARKS, MARKS), *body,
        svg.text(below, (LEFT + RIGHT) / 2, BOTTOM + 36, anchor="middle", class_="label"),
        words=words_ or heading, description=description, width=WIDTH, height=HEIGHT)
