"""Domain map: sets of images as points in the plane, by the two directions in which their features vary most.

# N images of all sets, D features
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.report import svg, words
from headstart.seeds import generator
from headstart.selection.compared_sets import ImageSet

SHOWN = 300
"""Points of each set at most."""
FITTED = 1000
"""Images of each set by which the directions are found."""
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f00", "#7b4fb3")
"""Okabe and Ito's, as far as they show on light and dark."""
DOMAINS = ("var(--blue)", "var(--orange)", "var(--green)")
OTHER = "var(--faint)"
WIDTH, HEIGHT, RIGHT = 760, 420, 560


@dataclass(frozen=True)
class DomainMap:
    """Points in the plane."""

    points: np.ndarray
    """float64 [N, 2]."""
    sets: np.ndarray
    """int64 [N], position in `names`."""
    labels: np.ndarray
    """int64 [N], position in `classes`; -1 for none and for others."""
    ids: tuple[str, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    explained: float
    """Share of the variance that lies in the plane, 0..1."""


def domain_map(sets: Sequence[ImageSet], classes: tuple[str, ...], *, seed: int) -> DomainMap:
    """Return the principal components of the joined sets; each set counts by its images, at most 1,000 of them."""
    rows = [generator(seed, "map", place).permutation(len(one.images)) for place, one in enumerate(sets)]
    joined = np.concatenate([one.features[order[:FITTED]] for one, order in zip(sets, rows, strict=True)])
    mean = joined.mean(axis=0, dtype=np.float64)
    _, values, axes = np.linalg.svd(joined - mean, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    total = float((values**2).sum())
    points, places, labels, ids = [], [], [], []
    for place, (one, order) in enumerate(zip(sets, rows, strict=True)):
        some = order[:SHOWN]
        points.append((one.features[some] - mean) @ axes.T)
        places += [place] * len(some)
        labels.append(np.full(len(some), -1) if one.labels is None else one.labels[some])
        ids += [one.images.samples[row].id for row in some]
    return DomainMap(np.concatenate(points), np.array(places), np.concatenate(labels), tuple(ids),
                     tuple(one.name for one in sets), classes,
                     float((values[:2]**2).sum()) / total if total > 0 else 0.0)


def by_domain(found: DomainMap) -> str:
    """Return the points coloured by their set."""
    legend = [(DOMAINS[place], f"{name} ({int((found.sets == place).sum())} shown)")
              for place, name in enumerate(found.names)]
    return _figure("map-domain", found, "Coloured by set", [DOMAINS[place] for place in found.sets], legend)


def by_class(found: DomainMap) -> str:
    """Return the points coloured by class, the eight most frequent ones; empty where no class is known."""
    counts = Counter(found.labels[found.labels >= 0].tolist())
    if not counts:
        return ""
    first = sorted(label for label, _ in counts.most_common(len(COLOURS)))
    colour = dict(zip(first, COLOURS, strict=False))
    legend = [(colour[label], found.classes[label]) for label in first]
    if len(counts) > len(first):
        legend.append((OTHER, f"{len(counts) - len(first)} other classes"))
    elif (found.labels < 0).any():
        legend.append((OTHER, "no class known"))
    colours = [colour.get(label, OTHER) for label in found.labels]
    return _figure("map-class", found, "Coloured by class", colours, legend)


def _figure(name: str, found: DomainMap, heading: str, colours: Sequence[str],
            legend: Sequence[tuple[str, str]]) -> str:
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    margin = np.maximum(0.04 * (high - low), 1e-9)
    x = svg.Scale(float(low[0] - margin[0]), float(high[0] + margin[0]), 8, RIGHT - 8)
    y = svg.Scale(float(low[1] - margin[1]), float(high[1] + margin[1]), HEIGHT - 8, 32)
    body = [svg.element("rect", x=4, y=28, width=RIGHT - 8, height=HEIGHT - 32, class_="frame")]
    # In turns, so that no set lies over the other.
    order = generator(0, "turns").permutation(len(found.points))
    for row in order:
        told = f"{found.names[found.sets[row]]}: {found.ids[row]}"
        if found.labels[row] >= 0:
            told += f" ({found.classes[found.labels[row]]})"
        body.append(_mark(int(found.sets[row]), x(found.points[row, 0]), y(found.points[row, 1]), colours[row], told))
    top = 44.0
    for place, set_name in enumerate(found.names) if name == "map-class" else ():
        body += [_mark(place, RIGHT + 14, top, OTHER, set_name), svg.text(_short(set_name), RIGHT + 26, top + 4)]
        top += 22
    for colour, label in legend:
        body += [_mark(0 if name == "map-class" else found.names.index(label.rpartition(" (")[0]), RIGHT + 14, top,
                       colour, label), svg.text(_short(label), RIGHT + 26, top + 4)]
        top += 22
    return svg.picture(name, svg.text(heading, 4, 16, class_="heading"), *body, words=heading, width=WIDTH,
                       height=HEIGHT, description=f"{len(found.points)} images of {words.named(list(found.names))}; "
                       f"the plane holds {words.percent(found.explained, 0)} of what the features vary.")


def _mark(place: int, across: float, down: float, colour: str, told: str) -> str:
    """Return a disc for the first set, a square for the second, a triangle for the third."""
    look = {"style": f"fill:{colour};fill-opacity:.72", "class_": "dot"}
    if place == 0:
        return svg.element("circle", svg.title(told), cx=across, cy=down, r=4, **look)
    if place == 1:
        return svg.element("rect", svg.title(told), x=across - 3.6, y=down - 3.6, width=7.2, height=7.2, **look)
    corners = f"{across:.1f},{down - 4.8:.1f} {across - 4.6:.1f},{down + 3.6:.1f} {across + 4.6:.1f},{down + 3.6:.1f}"
    return svg.element("polygon", svg.title(told), points=corners, **look)


def _short(name: str) -> str:
    return name if len(name) <= 27 else f"{name[:26]}…"
