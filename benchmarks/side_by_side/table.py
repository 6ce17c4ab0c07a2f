"""The tables in docs/benchmarks.md, made of the results and nothing else: what was not measured is a dash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from side_by_side.methods import METHODS, RANDOM_START, UNTRAINED
from side_by_side.results import put_table

BEGIN, END = "<!-- methods: begin -->", "<!-- methods: end -->"
IMAGES = (10, 50, None)
FAR = ("digits", "mnist")
"""Sets far from ImageNet, on which a fine-tune must be clearly above the probe."""
LIGHT = ("norm-only", "lora")
"""Methods that must come within a point of the full fine-tune with few parameters."""
POINT, FEW = 0.01, 0.05

Row = Mapping[str, Any]
Place = tuple[str, int | None, str]
"""Set, images a class, method."""


@dataclass(frozen=True)
class Entry:
    """What the seeds of one method on one set with so many images a class say together."""

    accuracy: float
    low: float
    """Mean of the lower ends of the seeds' intervals."""
    high: float
    val_accuracy: float
    over_probe: tuple[float, float, float] | None
    """Mean paired difference to the probe on test, and the means of its interval's ends."""
    seconds: float
    peak_mb: float
    trained: int
    parameters: int
    seeds: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Entry:
        """Return the means over the rows of all seeds; the least seconds on most threads; the median peak."""
        most = max(row["threads"] for row in rows)
        over = [row["over_probe"] for row in rows if "over_probe" in row]
        first, low, high = (fmean(values) for values in zip(*over, strict=True)) if over else (0.0, 0.0, 0.0)
        return cls(*(fmean(row[name] for row in rows) for name in ("accuracy", "low", "high", "val_accuracy")),
                   (first, low, high) if over else None, min(row["seconds"] for row in rows if row["threads"] == most),
                   median(row["peak_mb"] for row in rows), rows[-1]["trained"], rows[-1]["parameters"], len(rows))

    def __str__(self) -> str:
        alone = "" if self.seeds > 1 else "*"
        return f"{self.accuracy:.3f} ({self.low:.3f}-{self.high:.3f}){alone}"


@dataclass(frozen=True)
class Figure:
    """One of the figures to reach, at one place."""

    place: str
    says: str
    reached: bool


def gather(rows: Iterable[Row]) -> dict[Place, Entry]:
    """Return an entry for each place that was measured; seeds with other settings than the newest row's are old."""
    newest: dict[Place, dict[int, Row]] = {}
    for row in rows:
        seeds = newest.setdefault((row["set"], row["images"], row["method"]), {})
        seeds.pop(row["seed"], None)
        seeds[row["seed"]] = row
    entries = {}
    for place, seeds in newest.items():
        last = list(seeds.values())[-1]
        same = [row for row in seeds.values() if (row["settings"], row["size"]) == (last["settings"], last["size"])]
        entries[place] = Entry.of(same)
    return entries


def best_finetune(entries: Mapping[Place, Entry], name: str, images: int | None) -> str | None:
    """Return the method that is best on validation, of those that train from the probe; the first of equals."""
    able = [method for method in METHODS if method not in (*UNTRAINED, *RANDOM_START)
            and (name, images, method) in entries]
    return max(able, key=lambda method: entries[name, images, method].val_accuracy, default=None)


def against_probe(entries: Mapping[Place, Entry]) -> list[Figure]:
    """Return, for every set and number of images, whether the best fine-tune holds against the probe."""
    figures = []
    for name, images in _settings(entries):
        method = best_finetune(entries, name, images)
        probe = entries.get((name, images, "probe"))
        if method is None or probe is None:
            continue
        found = entries[name, images, method]
        assert found.over_probe is not None, "what trains from the probe was compared with it"
        difference, low, high = found.over_probe
        figures.append(Figure(
            _place(name, images), f"{probe.accuracy:.3f} | {found.accuracy:.3f} ({method}) | {difference:+.3f} "
            f"({low:+.3f} to {high:+.3f})", low > 0 if name in FAR else high >= 0))
    return figures


def light_methods(entries: Mapping[Place, Entry]) -> list[Figure]:
    """Return, for every set and number of images, whether a light method comes near the full fine-tune.

    Of the light ones the one that is best on validation counts.
    """
    figures = []
    for name, images in _settings(entries):
        full = entries.get((name, images, "finetune"))
        found = {method: entries[name, images, method] for method in LIGHT if (name, images, method) in entries}
        if full is None or not found:
            continue
        chosen = max(found, key=lambda method: found[method].val_accuracy)
        each = " | ".join(f"{found[method].accuracy:.3f} ({_share(found[method]):.1%})" if method in found else "-"
                          for method in LIGHT)
        figures.append(Figure(
            _place(name, images), f"{full.accuracy:.3f} | {each} | {chosen}",
            found[chosen].accuracy >= full.accuracy - POINT and _share(found[chosen]) < FEW))
    return figures


def set_table(entries: Mapping[Place, Entry], name: str) -> list[str]:
    """Return the table of a set: a row for each method."""
    counts = [images for images in IMAGES if any(key[:2] == (name, images) for key in entries)]
    lines = ["| method | trained | " + " | ".join(f"{_count(images)} | s" for images in counts) + " | peak MB |",
             "|---" * (3 + 2 * len(counts)) + "|"]
    for method in METHODS:
        found = [entries.get((name, images, method)) for images in counts]
        there = [entry for entry in found if entry is not None]
        if there:
            cells = [f"{entry} | {entry.seconds:.1f}" if entry else "- | -" for entry in found]
            lines.append(f"| {method} | {_amount(there[-1])} | " + " | ".join(cells)
                         + f" | {max(entry.peak_mb for entry in there):.0f} |")
    return lines


def page(rows: Sequence[Row]) -> str:
    """Return all that stands between the marks of the page."""
    entries = gather(rows)
    probe, light = against_probe(entries), light_methods(entries)
    lines = [f"Best fine-tune against the probe: {_reached(probe)}.", "",
             "| set, images a class | probe | best fine-tune, by validation | difference on test | |", "|---" * 5 + "|"]
    lines += [f"| {figure.place} | {figure.says} | {_verdict(figure)} |" for figure in probe]
    lines += ["", f"A light method within a point of the full fine-tune: {_reached(light)}.", "",
              f"| set, images a class | full fine-tune | {' | '.join(LIGHT)} | better on validation | |",
              "|---" * (4 + len(LIGHT)) + "|"]
    lines += [f"| {figure.place} | {figure.says} | {_verdict(figure)} |" for figure in light]
    for name in dict.fromkeys(row["set"] for row in rows):
        one = next(row for row in reversed(rows) if row["set"] == name)
        lines += ["", f"### {name}", "", f"{one['size']} pixels, {one['test']} test images.", "",
                  *set_table(entries, name)]
    return "\n".join(lines)


def write(rows: Sequence[Row]) -> list[str]:
    """Write the tables into the page, and return in words which figures are reached."""
    put_table(page(rows), start=BEGIN, end=END)
    entries = gather(rows)
    said = []
    for title, figures in (("best fine-tune against the probe", against_probe(entries)),
                           ("light methods against the full fine-tune", light_methods(entries))):
        said.append(f"{title}: {_reached(figures)}")
        said += [f"  NOT reached: {figure.place}: {figure.says}" for figure in figures if not figure.reached]
    return said


def _settings(entries: Mapping[Place, Entry]) -> list[tuple[str, int | None]]:
    """Return (set, images a class), the sets as they were first measured, few images first."""
    names = dict.fromkeys(name for name, _, _ in entries)
    return [(name, images) for name in names for images in IMAGES if any(key[:2] == (name, images) for key in entries)]


def _place(name: str, images: int | None) -> str:
    return f"{name}, {'all' if images is None else images}"


def _count(images: int | None) -> str:
    return "all" if images is None else f"{images} a class"


def _amount(entry: Entry) -> str:
    """Return `42 k (1.2%)`."""
    count = entry.trained
    short = f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count / 1e3:.0f} k" if count >= 1e3 else str(count)
    return f"{short} ({count / entry.parameters:.1%})" if count else "0"


def _share(entry: Entry) -> float:
    return entry.trained / entry.parameters


def _reached(figures: Sequence[Figure]) -> str:
    return f"{sum(figure.reached for figure in figures)} of {len(figures)} reached"


def _verdict(figure: Figure) -> str:
    return "reached" if figure.reached else "**not reached**"
