"""Axes: the lines and numbers behind a figure of values along a course."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from headstart.report import svg, words


def axes(x: svg.Scale, y: svg.Scale, marks: Sequence[tuple[float, str]], places: Iterable[tuple[float, str]]) -> str:
    """Return a line across for each mark on y, and a number below for each place on x; each with its words."""
    parts = []
    for mark, label in marks:
        parts += [svg.element("line", x1=x.start, x2=x.end, y1=y(mark), y2=y(mark), class_="grid"),
                  svg.text(label, x.start - 6, y(mark) + 4, anchor="end", class_="tick")]
    parts += [svg.text(label, x(place), y.start + 17, anchor="middle", class_="tick") for place, label in places]
    return "".join(parts)


def labelled(marks: Sequence[float], *, percent: bool) -> list[tuple[float, str]]:
    """Return each mark with its number, in enough decimals that neighbouring marks differ."""
    digits = max(0, -math.floor(math.log10(min(b - a for a, b in pairwise(marks))) + 1e-9))
    return [(mark, words.percent(mark, max(0, digits - 2)) if percent else words.number(mark, digits))
            for mark in marks]
