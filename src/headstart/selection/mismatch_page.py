"""Mismatch page: the verdict, the map of both sets, and a table for each kind of difference, as one HTML file."""

from __future__ import annotations

from pathlib import Path

from headstart.data.findings import counted
from headstart.report import svg, words
from headstart.report.axes import axes, labelled
from headstart.selection.appearance import MEASURES
from headstart.selection.domain_map import DomainMap, by_class, by_domain
from headstart.selection.mismatch import PAGE, Comparison, Mismatch
from headstart.selection.mismatch_words import of_source, sentences
from headstart.selection.page import Page, Section, write_page
from headstart.selection.prospects import Prospects
from headstart.selection.source_domain import SourceDomain

MEANINGS = {
    "proxy_a": "how well a linear classifier tells the sets apart: 0 not at all, 2 always",
    "frechet": "between Gaussians of the same means and covariances; orders sets that are far apart",
    "mmd": "kernel two-sample test; the p-value is the chance of as much for samples of one population",
    "coral": "between the covariances alone",
    "sliced_wasserstein": "how far mass must be moved, seen along random directions"}
WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 745, 40, 190


def write_mismatch_page(found: Mismatch, points: DomainMap, directory: Path) -> None:
    """Write mismatch.html into `directory`."""
    made = f"{found.first}{f' · {found.second}' if found.second else ''} · features of {found.settings.backbone} at " \
           f"{found.settings.size} pixels · at most {words.count(found.settings.images)} images of each set"
    parts = _maps(points)
    for one in found.comparisons:
        parts += _of(one, several=len(found.comparisons) > 1)
    if found.source is not None:
        parts += _source(found.source, found.settings.backbone)
    if found.notes:
        parts.append(Section("To know", "", "", ("Note",), [[note] for note in found.notes]))
    said = [*sentences(found), *([f"Next: {found.next}"] if found.next else [])]
    write_page(directory / PAGE, Page("Headstart mismatch", directory.name, made, said, parts))


def _maps(points: DomainMap) -> list[Section]:
    note = (f"Each mark is an image, by the two directions in which the features of all sets vary most; they hold "
            f"{words.percent(points.explained, 0)} of the variance, so that sets may differ where this picture does "
            "not show it. Hovering names the file.")
    found = [Section("Map of the images", note, by_domain(points))]
    classes = by_class(points)
    return [*found, Section("The same by class", "The shape of a mark tells the set.", classes)] if classes else found


def _of(one: Comparison, *, several: bool) -> list[Section]:
    """Return the tables of one comparison."""
    more = f": {one.first} and {one.second}" if several else ""
    parts = [
        Section(f"Distances{more}", f"In the features of the backbone, of {one.apart.counts[0]} images of "
                f"{one.first} and {one.apart.counts[1]} of {one.second}. A number means something only beside that of "
                f"halves: the same distance between random halves of {one.first}, as if nothing differed.", "",
                ("Distance", "Value", "95% interval or p", "Halves", "Within classes", "What it is"), _rows(one),
                (1, 2, 3, 4)),
        Section(f"To the eye{more}", f"Medians. The effect (Cliff's delta) is the chance that a picture of "
                f"{one.second} has more, less the chance that it has less: from -1 to 1. Formats of {one.first}: "
                f"{_formats(one.formats[0])}; of {one.second}: {_formats(one.formats[1])}.", "",
                ("Property", one.first, one.second, "Effect", "", "Unit"), _eye(one), (1, 2, 3))]
    classes = one.apart.gaps["proxy_a"].classes
    if classes:
        parts.append(Section(f"Within each class{more}", "Distances of the images of one class, so that another mix of "
                             "classes is no distance.", "", ("Class", *one.apart.gaps),
                             [[name, *(words.short(gap.classes.get(name)) for gap in one.apart.gaps.values())]
                              for name in sorted(classes, key=classes.__getitem__, reverse=True)],
                             range(1, 1 + len(one.apart.gaps))))
    return [*parts, *(_ahead(one.prospects, one.second) if one.prospects else [])]


def _rows(one: Comparison) -> list[list[str]]:
    rows = []
    for name, gap in one.apart.gaps.items():
        sure = f"{words.short(gap.whole.low)} to {words.short(gap.whole.high)}" if gap.whole.low is not None else \
            f"p = {words.number(gap.whole.p_value)}" if gap.whole.p_value is not None else words.DASH
        halves = f"{words.short(min(gap.halves))} to {words.short(max(gap.halves))}" if gap.halves else words.DASH
        rows.append([name, words.short(gap.whole.value), sure, halves, words.short(gap.within), MEANINGS.get(name, "")])
    return rows


def _formats(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {words.percent(share, 0)}" for name, share in shares.items()) or "not known"


def _eye(one: Comparison) -> list[list[str]]:
    return [[MEASURES[item.name].label.capitalize() if item.name != "jpeg_quality" else "JPEG quality",
             words.short(item.first), words.short(item.second), words.number(item.effect, 2),
             item.words if item.tells else "no more than chance, or negligible", MEASURES[item.name].unit]
            for item in one.appearance]


def _ahead(found: Prospects, second: str) -> list[Section]:
    """Return the tables of what to expect."""
    expected = found.expected
    rows = [["Expected", words.percent(expected.accuracy), words.span("accuracy", expected.low, expected.high)],
            ["At home, on held-out images", words.percent(expected.source_accuracy), ""],
            ["Thresholded confidence", words.percent(expected.atc_confidence), ""],
            ["The same by entropy", words.percent(expected.atc_entropy), ""],
            ["Difference of confidences", words.percent(expected.difference_of_confidences), ""],
            ["Nuclear norm, by that at home",
             words.percent(expected.nuclear_norm / max(expected.source_nuclear_norm, 1e-12), 0), ""],
            ["The way back: what the answers teach of the source", words.percent(expected.way_back, 0), ""],
            ["The same, of the classes in the shares that are answered", words.percent(expected.weighted_way_back, 0),
             ""]]
    if found.real is not None:
        rows.append(["By the labels that are there", words.percent(found.real), "not used for any other number"])
    parts = [Section(f"Accuracy to expect on {second}", f"Of {found.by}, without a label of {second}. Trust: "
                     f"{expected.trust}. A model that is surely wrong fools all of these.", "",
                     ("", "Accuracy", "95% interval"), rows, (1,), 0)]
    if found.shift is not None:
        shift = found.shift
        columns = {"At home": shift.source, **{LABELS[name]: found_ for name, found_ in shift.estimates.items()},
                   **({"By its labels": shift.real} if shift.real else {})}
        agree = ("They disagree: do not correct by them." if not shift.agree else "They agree." if shift.told else
                 "They agree, but the classes look different here, which they can't see: do not correct by them.")
        parts.append(Section(f"Proportions of the classes in {second}",
                             f"Estimated without a label of {second}. {agree}", "", ("Class", *columns),
                             [[name, *(words.percent(column[row]) for column in columns.values())]
                              for row, name in enumerate(shift.classes)], range(1, 1 + len(columns))))
    return parts


LABELS = {"bbse_hard": "Black box, answers", "bbse_soft": "Black box, chances", "em": "Likeliest (EM)"}


def _source(found: SourceDomain, backbone: str) -> list[Section]:
    """Return how far each layer is from what it saw in the pretraining."""
    if not found.layers:
        return [Section("The backbone's own images", of_source(found, backbone))]
    marks = svg.ticks(0.0, max(0.1, *found.layers))
    last = len(found.layers)
    x, y = svg.Scale(1, max(2, last), LEFT, RIGHT), svg.Scale(0.0, marks[-1], BOTTOM, TOP)
    places = [(float(place), str(place)) for place in sorted({1, *range(10, last + 1, 10), last})]
    points = [(x(place), y(value)) for place, value in enumerate(found.layers, 1)]
    figure = svg.picture(
        "layers", svg.text("Distance from what the layer saw in the pretraining", 4, 16, class_="heading"),
        axes(x, y, labelled(marks, percent=False), places),
        svg.text("BatchNorm layer, from the image to the features", (LEFT + RIGHT) / 2, BOTTOM + 38, anchor="middle",
                 class_="label"), svg.line(points, class_="line val"), words="Distance by layer", width=WIDTH,
        height=HEIGHT, description=f"{last} layers, {words.number(min(found.layers))} to "
                                   f"{words.number(max(found.layers))}.")
    return [Section("The backbone's own images", "Mean over the channels of each BatchNorm of the squared Hellinger "
                    "distance between what its weights remember and what it sees here, in "
                    f"{counted(found.images, 'image')}. Far in the first layers: other light, colour or texture; "
                    "far in the last: other things.", figure)]
