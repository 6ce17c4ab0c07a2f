"""Kinds of error: how often a detector makes each, and what mending it would bring."""

from __future__ import annotations

from headstart.report import svg, words
from headstart.report.detection_records import Tide

KINDS = {"classification": ("wrong class", "the box is right, the class is another"),
         "localisation": ("badly placed", "the class is right, the box is off"),
         "both": ("both", "wrong class and badly placed"),
         "duplicate": ("duplicate", "a second box on an object that was found"),
         "background": ("made up", "nothing is there"),
         "missed": ("missed", "an object that no box speaks of")}
"""Kind of error -> a short name, and what it means."""
LEFT, RIGHT, ROW = 112, 330, 30


def error_bars(found: Tide) -> str:
    """Return a bar for each kind of error: the points of AP50 that mending it alone would bring."""
    rows = [(kind, found.errors[kind]) for kind in KINDS if kind in found.errors]
    gains = [row.gain for _, row in rows if row.gain is not None]
    if not gains:
        return ""
    marks = svg.ticks(0.0, max(*gains, 0.01), about=4)
    x = svg.Scale(0.0, marks[-1], LEFT, RIGHT)
    bottom = 32 + ROW * len(rows)
    body = [svg.element("line", x1=x(mark), x2=x(mark), y1=28, y2=bottom, class_="grid")
            + svg.text(f"{100 * mark:g}", x(mark), bottom + 17, anchor="middle", class_="tick") for mark in marks]
    for place, (kind, row) in enumerate(rows):
        name, meaning = KINDS[kind]
        y, gain = 34 + ROW * place, row.gain or 0.0
        shown = f"+{100 * gain:.1f}" if row.gain is not None else words.DASH
        body.append(svg.element(
            "g", svg.title(f"{meaning}: {row.count} times, mending brings {shown} points"),
            svg.text(name, LEFT - 8, y + 14, anchor="end", class_="label"),
            svg.element("rect", x=LEFT, y=y, width=max(1.0, x(gain) - LEFT), height=ROW - 10, class_="wrong"),
            svg.text(f"{shown}  ({row.count})", max(x(gain), LEFT) + 6, y + 14, class_="tick value")))
    told = "; ".join(f"{KINDS[kind][0]} {row.count} times, {100 * (row.gain or 0):.1f} points" for kind, row in rows)
    return svg.picture(
        "error-kinds", svg.text("Points of AP50 by mending", 4, 16, class_="heading"), *body,
        svg.text("points of AP50 (in brackets: how often)", (LEFT + RIGHT) / 2, bottom + 36, anchor="middle"),
        words="Kinds of error", description=f"What mending each kind alone would bring: {told}.", width=420,
        height=bottom + 46)
