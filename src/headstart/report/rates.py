"""Rates: what the learning-rate finder saw: the loss at each factor on the learning rates, on a log scale."""

from __future__ import annotations

import math

from headstart.report import svg
from headstart.report.axes import axes
from headstart.report.curves import svg_id
from headstart.report.records import RatesRecord

WIDTH, HEIGHT = 400, 262
LEFT, RIGHT, TOP, BOTTOM = 48, 388, 34, 218


def rate_figures(found: dict[str, RatesRecord]) -> list[str]:
    """Return one figure for each method whose learning rates were searched."""
    return [_figure(method, rates) for method, rates in found.items() if len(rates.factors) > 1]


def _figure(method: str, rates: RatesRecord) -> str:
    marks = svg.ticks(min(rates.losses), max(rates.losses))
    powers = [math.log10(factor) for factor in rates.factors]
    x = svg.Scale(math.floor(powers[0]), math.ceil(powers[-1]), LEFT, RIGHT)
    y = svg.Scale(marks[0], marks[-1], BOTTOM, TOP)
    decades = range(math.floor(powers[0]), math.ceil(powers[-1]) + 1)
    place = x(min(max(math.log10(rates.chosen), powers[0]), powers[-1]))
    body = [axes(x, y, [(mark, f"{mark:g}") for mark in marks], [(power, f"{10.0 ** power:g}") for power in decades]),
            svg.element("line", x1=place, x2=place, y1=TOP, y2=BOTTOM, class_="best"),
            svg.text(f"chosen: {rates.chosen:.2g}", place + 5, BOTTOM - 6, class_="tick best-label"),
            svg.line([(x(p), y(loss)) for p, loss in zip(powers, rates.losses, strict=True)], class_="line train"),
            svg.text("factor on the learning rates", (LEFT + RIGHT) / 2, BOTTOM + 36, anchor="middle", class_="label")]
    return svg.picture(svg_id(f"rates-{method}"), svg.text(f"Learning-rate finder, {method}", 4, 16, class_="heading"),
                       *body, words=f"Learning-rate finder, {method}", width=WIDTH, height=HEIGHT,
                       description=f"Smoothed training loss while the learning rates rise; chosen: {rates.chosen:.2g} "
                                   "times the given ones.")
