"""Forecast: where the learning curve goes, in words and as a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.report import svg, words
from headstart.report.axes import axes, labelled
from headstart.report.records import ForecastRecord, Foretold

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 745, 40, 266


def sentences(found: ForecastRecord) -> list[str]:
    """Return what the forecast says, in words; the answer first."""
    said = [expected(found)]
    for name, (few, likely, many) in found.targets.items():
        if few is None:
            said.append(f"{words.percent(float(name))} lies beyond what can be foretold: more labels alone may not do.")
            continue
        about = f"about {in_words(likely)} images to learn from" if likely else "more images than can be foretold"
        said.append(f"For {words.percent(float(name))}: {about}; {in_words(few)} if all goes well; to be safe, "
                    f"{in_words(many)}.")
    said += first_to_label(found)
    said.append(f"The law that fits the curve best: {found.law}. "
                f"The curve is that of a {found.method} on one backbone: a better model moves it.")
    return said


def expected(found: ForecastRecord) -> str:
    """Return what twice and ten times the labels bring, beside the same curve at the labels there are.

    A measured point lies above or below the curve by chance: beside it a rise could read as a loss.
    """
    measured, twice, ten = found.measured[-1].value, found.ahead["2"], found.ahead["10"]
    # A record of an earlier version does not have the curve's own point.
    now = "" if found.now is None else (f" in place of the {words.percent(found.now.value)} where the curve is now "
                                        f"(measured: {words.percent(measured)})")
    return (f"With twice the labels expect {words.percent(twice.value)} "
            f"({words.span('accuracy', twice.low, twice.high)}){now}; with ten times, {words.percent(ten.value)} "
            f"({words.span('accuracy', ten.low, ten.high)}).")


def first_to_label(found: ForecastRecord) -> list[str]:
    """Return which classes to label first, in words: those nobody can judge yet, then the one that gained most."""
    said = []
    if found.lacking:
        names = [f"{name} ({words.images(images)}{'' if right is None else f', {words.percent(right, 0)} right'})"
                 for name, images, right in found.lacking]
        said.append(f"Label first: {words.named(names)}; too few images to judge, or hardly ever right.")
    lacking = {name for name, _, _ in found.lacking}
    if found.label_first is not None and found.label_first not in lacking:
        gained = next(gain for name, _, gain in found.gains if name == found.label_first)
        said.append(f"Of the {'other ' * bool(lacking)}classes with mistakes left {found.label_first} gained most from "
                    f"the last doubling ({words.points('accuracy', gained)} points): label more of it "
                    f"{'next' if lacking else 'first'}.")
    elif found.gains and not lacking:
        said.append("No class with mistakes left gained more from the last doubling than chance may bring: none stands "
                    "out to be labelled first.")
    return said


def figure(found: ForecastRecord) -> str:
    """Return the measured points and the band of what is expected, by images (logarithmic)."""
    points, band = found.measured, found.band
    marks = svg.ticks(min(p.low for p in [*points, *band]), 1.0, share=True)
    x = svg.Scale(math.log2(points[0].images), math.log2(band[-1].images), LEFT, RIGHT)
    y = svg.Scale(marks[0], marks[-1], BOTTOM, TOP)

    def place(images: float, value: float) -> tuple[float, float]:
        return x(math.log2(images)), y(max(marks[0], value))

    outline = [place(p.images, p.high) for p in band] + [place(p.images, p.low) for p in reversed(band)]
    area = svg.element("polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in outline), class_="line band")
    dots = []
    for point in points:
        across, down = place(point.images, point.value)
        dots.append(svg.element("line", x1=across, x2=across, y1=y(max(marks[0], point.low)), y2=y(point.high),
                                class_="grid"))
        dots.append(svg.element("circle", svg.title(f"{point.images:.0f} images: {words.percent(point.value)}"),
                                cx=across, cy=down, r=4.5, class_="dot val"))
    places = [(math.log2(value), words.count(round(value))) for value in _doublings(points, band)]
    return svg.picture(
        "forecast", svg.text("Accuracy", 4, 16, class_="heading"), area,
        axes(x, y, labelled(marks, percent=True), places),
        svg.text("images to learn from", (LEFT + RIGHT) / 2, BOTTOM + 38, anchor="middle", class_="label"),
        svg.line([place(p.images, p.value) for p in band], class_="line frontier"), *dots, words="Accuracy by images",
        width=WIDTH, height=HEIGHT, description=f"{len(points)} measured points, from {points[0].images:.0f} to "
        f"{points[-1].images:.0f} images, and a forecast to {band[-1].images:.0f}.")


def _doublings(points: Sequence[Foretold], band: Sequence[Foretold]) -> list[float]:
    """Return the measured sizes and their doublings to the end of the band."""
    found = [point.images for point in points]
    while found[-1] * 2 <= band[-1].images:
        found.append(found[-1] * 2)
    return found


def in_words(value: int | None) -> str:
    """Return a number of images; None lies beyond what can be foretold."""
    return "more than can be foretold" if value is None else words.count(value)
