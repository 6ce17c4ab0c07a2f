"""Rank page: the ranking in words, its frontier of accuracy against cost, and the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from headstart.data.findings import counted
from headstart.report import svg, words
from headstart.report.axes import axes, labelled
from headstart.selection.evidence import DEFAULT
from headstart.selection.page import Page, Section, write_page
from headstart.selection.ranking import PAGE, Ranked, Ranking

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 745, 40, 266


def write_rank_page(ranking: Ranking, directory: Path) -> None:
    """Write rank.html into `directory`."""
    made = f"{counted(len(ranking.candidates), 'candidate')} · {ranking.images} images of train and validation · " \
           f"{ranking.data}"
    parts = [Section("Accuracy against cost", "Each dot is a candidate, with its rank; the line joins those that no "
                     "other beats in accuracy and time. Accuracy is that of a linear probe on images that it was not "
                     "fitted on, with its 95% interval; the time is that of feature extraction on this machine.",
                     frontier(ranking.candidates)),
             Section("The candidates", "", "", COLUMNS, [row(item) for item in ranking.candidates],
                     range(1, len(COLUMNS) - 1), 0)]
    if ranking.best.scores:
        names = list(ranking.best.scores)
        rows = [[item.name, *(words.DASH if (value := item.scores.get(name)) is None else f"{value:.4g}"
                              for name in names)] for item in ranking.candidates]
        parts.append(Section("Other scores", "Higher is better for each.", "", ("Candidate", *names), rows,
                             range(1, len(names) + 1)))
    if ranking.failed:
        parts.append(Section("Left out", "", "", ("Candidate", "Why"), list(ranking.failed.items())))
    write_page(directory / PAGE, Page("Headstart ranking", directory.name, made, sentences(ranking), parts))


COLUMNS = ("Candidate", "Rank", "95% of ranks", "Probe accuracy", "95% interval", "Images", "Parameters", "GMACs",
           "Images a second", "MB to train", "Features", "ImageNet top-1", "Licence")


def row(item: Ranked) -> list[str]:
    """Return the cells of one candidate."""
    early = " (left out early)" if item.eliminated else ""
    return [item.name + early, str(item.rank), f"{item.rank_low} to {item.rank_high}", words.percent(item.accuracy),
            words.span("accuracy", item.accuracy_low, item.accuracy_high), str(item.images),
            words.count(item.parameters), words.number(item.gmacs, 2), words.number(item.images_per_second, 0),
            words.number(item.training_mb, 0), str(item.width),
            words.DASH if item.top1 is None else words.number(item.top1, 1), item.license]


def sentences(ranking: Ranking) -> list[str]:
    """Return what the ranking found, in words; the answer first."""
    best = ranking.best
    said = [f"{best.name} is the first choice for these images: a linear probe on its features is right in "
            f"{words.percent(best.accuracy)} of {ranking.judged_on} "
            f"({words.span('accuracy', best.accuracy_low, best.accuracy_high)})."]
    ties = [item.name for item in ranking.tied if item is not best]
    if ranking.too_few:
        said.append(f"{ranking.images} images of {ranking.classes} classes are too few to rank: any of the candidates "
                    "may be the best. Label more, or choose by size and speed.")
    elif ties:
        instead = "one of them" if len(ties) > 1 else "that one"
        said.append(f"These images can't tell it from {words.named(ties)}: taking {instead} instead is no mistake.")
    higher = max(ranking.candidates, key=lambda item: item.accuracy)
    if higher.accuracy > best.accuracy:
        said.append(f"{higher.name} has the higher probe accuracy, {words.percent(higher.accuracy)}: the order does "
                    f"not go by it but by {goes_by(ranking)}.")
    fast = max(ranking.candidates, key=lambda item: item.images_per_second)
    if fast is not best:
        said.append(f"The fastest is {fast.name}: {words.number(fast.images_per_second, 0)} images a second against "
                    f"{words.number(best.images_per_second, 0)}, at {words.percent(fast.accuracy)}.")
    out = sum(item.eliminated for item in ranking.candidates)
    if out:
        said.append(f"{counted(out, 'candidate')} {'was' if out == 1 else 'were'} clearly behind on a part of the "
                    f"images and {'was' if out == 1 else 'were'} not tried on all.")
    return said


def goes_by(ranking: Ranking) -> str:
    """Return in words what decides the order."""
    return ranking.score if ranking.score != DEFAULT else \
        "how sure the probe is of what is right, how little the classes overlap, and the size of the model together, " \
        "none before one whose probe is clearly better"


def frontier(candidates: Sequence[Ranked]) -> str:
    """Return accuracy by milliseconds an image (logarithmic), the best for their cost joined by a line."""
    times = {item.name: 1000 / item.images_per_second for item in candidates}
    marks = svg.ticks(min(item.accuracy_low for item in candidates), max(item.accuracy_high for item in candidates),
                      share=True)
    fastest, slowest = min(times.values()), max(times.values())
    low, high = math.log10(fastest), math.log10(slowest)
    margin = max(0.05, (high - low) * 0.08)
    x = svg.Scale(low - margin, high + margin, LEFT, RIGHT)
    y = svg.Scale(marks[0], marks[-1], BOTTOM, TOP)
    best = sorted((item for item in candidates if item.frontier), key=lambda item: times[item.name])
    parts = [svg.line([(x(math.log10(times[item.name])), y(item.accuracy)) for item in best], class_="line frontier")]
    for item in candidates:
        place = x(math.log10(times[item.name]))
        told = f"{item.name}: {words.percent(item.accuracy)}, {words.number(times[item.name], 1)} ms an image"
        parts.append(svg.element("line", x1=place, x2=place, y1=y(item.accuracy_low), y2=y(item.accuracy_high),
                                 class_="grid"))
        parts.append(svg.element("circle", svg.title(told), cx=place, cy=y(item.accuracy), r=4.5,
                                 class_="dot val" if item.frontier else "dot other"))
        parts.append(svg.text(str(item.rank), place + 8, y(item.accuracy) + 4, class_="tick"))
    places = [(math.log10(value), words.number(value, 0 if value.is_integer() else 1))
              for value in _marks(fastest, slowest)]
    return svg.picture(
        "frontier", svg.text("Probe accuracy", 4, 16, class_="heading"),
        axes(x, y, labelled(marks, percent=True), places),
        svg.text("milliseconds an image", (LEFT + RIGHT) / 2, BOTTOM + 38, anchor="middle", class_="label"), *parts,
        words="Accuracy against cost", width=WIDTH, height=HEIGHT,
        description=f"{counted(len(candidates), 'candidate')}; on the frontier: "
                    f"{words.named([item.name for item in best])}.")


def _marks(low: float, high: float) -> list[float]:
    """Return round numbers of milliseconds in low..high, at most about eight; the ends where they are too near."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in powers for factor in (1, 2, 3, 5, 7)]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) > 1 else sorted({low, high})
