"""Figures: methods with their intervals, the reliability diagram, and the overview of a large confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.report import svg, words
from headstart.report.records import Bin, Interval

LEFT, RIGHT = 42, 330


def forest(metric: str, methods: Sequence[tuple[str, Interval]]) -> str:
    """Return each method's metric as a dot on its interval, one row a method; the last is the final model."""
    known = [(name, interval) for name, interval in methods if interval.value is not None]
    if not known:
        return ""
    ends = [end for _, m in known for end in (m.low, m.high, m.value) if end is not None]
    marks = svg.ticks(min(ends), max(ends), about=4)
    x = svg.Scale(marks[0], marks[-1], 104, 360)
    bottom = 38 + 34 * len(known)
    body = [_vertical(metric, mark, x(mark), bottom) for mark in marks]
    for row, (name, interval) in enumerate(known):
        body.append(_row(metric, name, interval, x=x, y=54 + 34 * row, final=row == len(known) - 1))
    label = words.term(metric).label
    told = "; ".join(f"{name} {words.of_metric(metric, m.value)}" for name, m in known)
    return svg.picture("forest", svg.text(f"{label}, with 95 % interval", 4, 16, class_="heading"), *body,
                       words=f"{label} of each method", description=f"{told}.", width=400, height=bottom + 26)


def _vertical(metric: str, mark: float, place: float, bottom: float) -> str:
    label = words.percent(mark, 0) if words.term(metric).percent else f"{mark:g}"
    return (svg.element("line", x1=place, x2=place, y1=30, y2=bottom, class_="grid")
            + svg.text(label, place, bottom + 17, anchor="middle", class_="tick"))


def _row(metric: str, name: str, interval: Interval, *, x: svg.Scale, y: float, final: bool) -> str:
    kind = "final" if final else "other"
    value = interval.value or 0.0
    low = value if interval.low is None else interval.low
    high = value if interval.high is None else interval.high
    shown = name if len(name) <= 13 else f"{name[:12]}…"
    hover = f"{name}: {words.of_metric(metric, value)} ({words.span(metric, interval.low, interval.high)})"
    return svg.element(
        "g", svg.title(hover), svg.text(shown, 96, y + 4, anchor="end", class_=f"label {kind}"),
        svg.element("line", x1=x(low), x2=x(high), y1=y, y2=y, class_=f"range {kind}"),
        svg.element("circle", cx=x(value), cy=y, r=5.5, class_=f"dot {kind}"),
        svg.text(words.of_metric(metric, value), x(value), y - 9, anchor="middle", class_="tick value"))


def reliability(name: str, bins: Sequence[Bin], *, heading: str, error: float | None) -> str:
    """Return how often the model is right against how sure it is; on the diagonal both are the same.

    name: unique on the page. error: the expected calibration error, for the heading.
    """
    filled = [b for b in bins if b.count and b.confidence is not None and b.accuracy is not None]
    if not filled:
        return ""
    x, y = svg.Scale(0, 1, LEFT, RIGHT), svg.Scale(0, 1, 314, 34)
    most, total = max(b.count for b in filled), sum(b.count for b in filled)
    body = []
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0):
        label = words.percent(mark, 0)
        body += [svg.element("line", x1=LEFT, x2=RIGHT, y1=y(mark), y2=y(mark), class_="grid"),
                 svg.text(label, LEFT - 5, y(mark) + 4, anchor="end", class_="tick"),
                 svg.text(label, x(mark), y(0) + 17, anchor="middle", class_="tick")]
    body += [svg.element("rect", svg.title(f"{b.count:g} of {total:g} answers"), x=x(b.low) + 1, class_="share",
                         y=y(0) - 56 * b.count / most, width=max(1.0, x(b.high) - x(b.low) - 2),
                         height=56 * b.count / most) for b in filled]
    body.append(svg.line([(x(0), y(0)), (x(1), y(1))], class_="diagonal"))
    body.append(svg.line([(x(b.confidence or 0), y(b.accuracy or 0)) for b in filled], class_="line val"))
    body += [svg.element("circle", svg.title(_bin_words(b)), cx=x(b.confidence or 0), cy=y(b.accuracy or 0),
                         r=3 + 4 * (b.count / most) ** 0.5, class_="dot val") for b in filled]
    axis = svg.text("how sure the model is", (LEFT + RIGHT) / 2, 350, anchor="middle")
    told = " ".join(f"{_bin_words(b)}." for b in filled)
    return svg.picture(name, svg.text(heading, 4, 14, class_="heading"), *body, axis, description=told, height=360,
                       words=f"{heading}: calibration error {words.number(error)}", width=350)


def _bin_words(found: Bin) -> str:
    return (f"sure {words.percent(found.low, 0)} to {words.percent(found.high, 0)}: right "
            f"{words.percent(found.accuracy)} of {found.count:g}")


def overview(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """Return a large confusion matrix as a picture of squares, without numbers; hovering names them."""
    side = 392 / len(classes)
    squares = []
    for row, counts in enumerate(matrix):
        total = sum(counts)
        squares += [
            svg.element("rect", svg.title(f"true {classes[row]}, predicted {classes[column]}: {n} of {total}"),
                        x=4 + side * column, y=4 + side * row, width=side * 0.94, height=side * 0.94,
                        fill_opacity=0.15 + 0.85 * n / total, class_="right" if row == column else "wrong")
            for column, n in enumerate(counts) if n]
    frame = svg.element("rect", x=4, y=4, width=392, height=392, class_="frame")
    return svg.picture("confusion-overview", frame, *squares, words="Confusion matrix", width=400, height=400,
                       description=f"{len(classes)} by {len(classes)} squares; rows are the true classes, in the "
                                   "order of the data; squares off the diagonal are mistakes.")
