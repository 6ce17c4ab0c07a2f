"""Learning curves: loss and metric over the epochs, with the epoch that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from headstart.report import svg, words
from headstart.report.axes import axes, labelled

WIDTH, HEIGHT = 400, 262
LEFT, RIGHT, TOP, BOTTOM = 48, 388, 34, 218


@dataclass(frozen=True)
class Curves:
    """The learning curves of one method."""

    method: str
    figures: list[str]
    kept: int | None
    """The epoch whose weights were kept, 0 being the start; None where the run does not say."""
    epochs: int


def learning_curves(history: pd.DataFrame | None, kept: Mapping[str, int]) -> list[Curves]:
    """Return the curves of each method that trained by epochs. kept: the epoch that each of them kept."""
    if history is None or history.empty:
        return []
    return [_of_method(str(name), rows.sort_values("epoch"), kept.get(str(name)))
            for name, rows in history.groupby("method", sort=False)]


def _of_method(method: str, rows: pd.DataFrame, kept: int | None) -> Curves:
    metric = _monitored(rows)
    names = [("loss", "Loss")] + ([(metric, words.term(metric).label)] if metric else [])
    figures = [_chart(f"curve-{number}-{method}", rows, name, label, method=method, kept=kept)
               for number, (name, label) in enumerate(names)]
    return Curves(method, [figure for figure in figures if figure], kept, len(rows))


def _monitored(rows: pd.DataFrame) -> str | None:
    names = [name.removeprefix("val_") for name in rows.columns
             if name.startswith("val_") and name != "val_loss" and rows[name].notna().any()]
    return names[0] if names else None


def _chart(name: str, rows: pd.DataFrame, column: str, label: str, *, method: str, kept: int | None) -> str:
    """Return one figure with a training and a validation line; empty where there is nothing to draw."""
    found = {part: _points(rows, f"{part}_{column}") for part in ("train", "val")}
    values = [y for points in found.values() for _, y in points]
    if not values:
        return ""
    marks = svg.ticks(min(values), max(values), share=words.term(column).percent)
    epochs = [int(epoch) for epoch in rows["epoch"]]
    x = svg.Scale(min(epochs) - 0.3, max(epochs) + 0.3, LEFT, RIGHT)
    y = svg.Scale(marks[0], marks[-1], BOTTOM, TOP)
    body = [_grid(x, y, marks, epochs, percent=words.term(column).percent)]
    if kept and kept in epochs:
        body.append(_kept_line(x, kept))
    for part, wording in (("train", "training"), ("val", "validation")):
        points = [(x(epoch), y(value)) for epoch, value in found[part]]
        dots = [svg.element("circle", svg.title(f"epoch {epoch}, {wording}: {value:.4g}"), cx=x(epoch), cy=y(value),
                            r=3.2, class_=f"dot {part}") for epoch, value in found[part]]
        body += [svg.line(points, class_=f"line {part}"), *(dots if len(dots) <= 100 else [])]
    last = {part: f"{points[-1][1]:.3g}" for part, points in found.items() if points}
    return svg.picture(
        svg_id(name), svg.text(label, 4, 16, class_="heading"), *_legend(found), *body,
        words=f"{label} by epoch, {method}", width=WIDTH, height=HEIGHT,
        description=f"Last values: {', '.join(f'{part} {value}' for part, value in last.items())}. "
                    f"Kept: {'not known' if kept is None else f'epoch {kept}' if kept else 'the start'}.")


def svg_id(name: str) -> str:
    """Return a word that can be an id: letters, digits and hyphens; others by their code."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "-") else f"-{ord(c):x}-" for c in name)


def _points(rows: pd.DataFrame, column: str) -> list[tuple[int, float]]:
    if column not in rows:
        return []
    return [(int(epoch), float(value)) for epoch, value in zip(rows["epoch"], rows[column], strict=True)
            if math.isfinite(value)]


def _grid(x: svg.Scale, y: svg.Scale, marks: list[float], epochs: list[int], *, percent: bool) -> str:
    step = max(1, math.ceil((max(epochs) - min(epochs)) / 8))
    places = [(epoch, str(epoch)) for epoch in range(min(epochs), max(epochs) + 1, step)]
    return (axes(x, y, labelled(marks, percent=percent), places)
            + svg.text("epoch", (LEFT + RIGHT) / 2, BOTTOM + 36, anchor="middle", class_="label"))


def _kept_line(x: svg.Scale, kept: int) -> str:
    place = x(kept)
    anchor, beside = ("end", place - 5) if place > (LEFT + RIGHT) / 2 else ("start", place + 5)
    return (svg.element("line", x1=place, x2=place, y1=TOP, y2=BOTTOM, class_="best")
            + svg.text("kept", beside, BOTTOM - 6, anchor=anchor, class_="tick best-label"))


def _legend(found: dict[str, list[tuple[int, float]]]) -> list[str]:
    parts = []
    for part, wording, x in (("train", "training", 232), ("val", "validation", 312)):
        if found[part]:
            parts += [svg.line([(x - 24, 12), (x - 5, 12)], class_=f"line {part}"),
                      svg.text(wording, x, 16, class_="label")]
    return parts
