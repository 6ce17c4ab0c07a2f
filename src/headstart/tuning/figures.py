"""Figures: the values of the trials in the order in which they were tried, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from headstart.report import svg, words
from headstart.report.axes import axes, labelled
from headstart.tuning.outcome import Outcome

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 745, 40, 246
MARKS = {"finished": "dot val", "pruned": "dot other", "stopped": "dot other"}


def history(outcomes: Sequence[Outcome], metric: str, *, maximise: bool) -> str:
    """Return the trials as dots by number, with the best finished value so far as a line of steps."""
    shown = [o for o in outcomes if o.value is not None and o.state in MARKS]
    if not shown:
        return ""
    values = [o.value or 0.0 for o in shown]
    marks = svg.ticks(min(values), max(values), share=words.term(metric).percent)
    last = max(o.number for o in outcomes)
    x = svg.Scale(-0.5, last + 0.5, LEFT, RIGHT)
    y = svg.Scale(marks[0], marks[-1], BOTTOM, TOP)
    steps = _best_so_far(shown, maximise=maximise)
    dots = [svg.element("circle", svg.title(_words(o, metric)), cx=x(o.number), cy=y(o.value or 0.0),
                        r=4.5 if o.state == "finished" else 3.5, class_=MARKS[o.state]) for o in shown]
    failed = [svg.element("g", svg.title(f"trial {o.number} failed"),
                          svg.text("×", x(o.number), BOTTOM - 3, anchor="middle", class_="wrong"))
              for o in outcomes if o.state == "failed"]
    label = words.term(metric).label
    best = f"{words.of_metric(metric, steps[-1][1])} in trial {steps[-1][0]}" if steps else "none finished"
    return svg.picture(
        "history", svg.text(f"{label} on validation, by trial", 4, 16, class_="heading"), *_legend(failed),
        _grid(x, y, marks, last, percent=words.term(metric).percent), svg.line(_stairs(steps, x, y, last),
                                                                              class_="line best-so-far"),
        *dots, *failed, words=f"{label} of each trial", width=WIDTH, height=HEIGHT,
        description=f"{len(shown)} trials with a value; the best is {best}.")


def _best_so_far(shown: Sequence[Outcome], *, maximise: bool) -> list[tuple[int, float]]:
    """Return (number, value) of each finished trial that was better than all before it."""
    sign = 1.0 if maximise else -1.0
    steps: list[tuple[int, float]] = []
    for o in shown:
        if o.state == "finished" and (not steps or sign * (o.value or 0.0) > sign * steps[-1][1]):
            steps.append((o.number, o.value or 0.0))
    return steps


def _stairs(steps: Sequence[tuple[int, float]], x: svg.Scale, y: svg.Scale, last: int) -> list[tuple[float, float]]:
    if not steps:
        return []
    corners = [(x(steps[0][0]), y(steps[0][1]))]
    for (_, before), (number, value) in pairwise(steps):
        corners += [(x(number), y(before)), (x(number), y(value))]
    return [*corners, (x(last), y(steps[-1][1]))]


def _words(outcome: Outcome, metric: str) -> str:
    ended = "" if outcome.state == "finished" else f", {outcome.state} after {outcome.epochs} epochs"
    return f"trial {outcome.number}: {words.of_metric(metric, outcome.value)}{ended}; {outcome}"


def _grid(x: svg.Scale, y: svg.Scale, marks: list[float], last: int, *, percent: bool) -> str:
    step = max(1, math.ceil((last + 1) / 15))
    places = [(number, str(number)) for number in range(0, last + 1, step)]
    return (axes(x, y, labelled(marks, percent=percent), places)
            + svg.text("trial", (LEFT + RIGHT) / 2, BOTTOM + 38, anchor="middle", class_="label"))


def _legend(failed: Sequence[str]) -> list[str]:
    parts, place = [], 400
    for kind, wording, width in (("dot val", "finished", 80), ("dot other", "ended early", 95)):
        parts += [svg.element("circle", cx=place, cy=12, r=4, class_=kind), svg.text(wording, place + 9, 16)]
        place += width
    if failed:
        parts += [svg.text("×", place, 16, anchor="middle", class_="wrong"), svg.text("failed", place + 9, 16)]
        place += 60
    return [*parts, svg.line([(place, 12), (place + 20, 12)], class_="line best-so-far"),
            svg.text("best so far", place + 26, 16)]
