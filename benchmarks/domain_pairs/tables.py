"""Tables of bench_domains.py: the methods of each suite, what the guard and the validators are worth, the mismatch."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from domain_pairs.sets import SHARES
from headstart.probabilities import wilson

Row = dict[str, Any]
Cell = dict[str, Row]
"""The rows of one pair and seed, by method."""
GUARD = "consistency"
APART = ("supervised", "mismatch")
START = "source_only"
GUARDED = ("transfer", "joint_transfer")
"""What its own guard was over while it was measured."""
FEWEST = 5
"""Pairs and seeds whose order says something."""
SKEWED = tuple(f"_{shares}" for shares in SHARES)
"""Suites whose targets have other shares of the classes."""
LEAST_LOST = 0.02
"""Accuracy lost of which a share says something."""


def tables(rows: Sequence[Row]) -> str:
    """Return all tables, as Markdown."""
    cells: dict[tuple[str, str, str, int], Cell] = defaultdict(dict)
    for row in rows:
        cells[row["suite"], row["source"], row["target"], row["seed"]][row["method"]] = row
    suites = list(dict.fromkeys(key[0] for key in cells))
    parts = [suite_table(suite, {key[1:]: cell for key, cell in cells.items() if key[0] == suite}) for suite in suites]
    # Those with labels of the target are the same pairs once more.
    without = {key: cell for key, cell in cells.items() if not key[0].endswith("_few")}
    skewed = {key: cell for key, cell in without.items() if key[0].endswith(SKEWED)}
    alike = {key: cell for key, cell in without.items() if key not in skewed}
    return "\n\n".join(part for part in (
        *parts, recovery_table(without), validator_table(alike.values(), "where the shares of the classes are alike"),
        validator_table(skewed.values(), "where they are others"), mismatch_table(without)) if part)


def suite_table(suite: str, cells: Mapping[tuple[str, str, int], Cell]) -> str:
    """Return a row for each method: the mean accuracy, the gain over source-only, the same with the guard."""
    names = list(dict.fromkeys(name for cell in cells.values() for name in cell if name not in (*APART, START)))
    pairs, seeds = ({key[:2] for key in cells}, {key[2] for key in cells})
    several = "s" if len(seeds) > 1 else ""
    lines = [f"{suite}: {len(pairs)} pairs, {len(seeds)} seed{several}, mean accuracy in percent.", "",
             "| method | accuracy | gain over source-only | worst | with the guard: gain | worst "
             "| below the interval | seconds |", "|---|---|---|---|---|---|---|---|"]
    for name in (START, "supervised"):
        known = [100 * cell[name]["accuracy"] for cell in cells.values() if name in cell]
        lines.append(f"| {name} | {np.mean(known):.1f} | | | | | | |")
    found = []
    for name in names:
        both = [(cell[START], cell[name]) for cell in cells.values() if name in cell and START in cell]
        gains = [100 * (row["accuracy"] - start["accuracy"]) for start, row in both]
        left = [row if name in GUARDED or kept(start, row) else start for start, row in both]
        guarded = [100 * (row["accuracy"] - start["accuracy"]) for row, (start, _) in zip(left, both, strict=True)]
        below = sum(row["accuracy"] < wilson(start["accuracy"], start["images"])[0]
                    for row, (start, _) in zip(left, both, strict=True))
        told = name if len(both) == len(cells) else f"{name}, {len(both)} of {len(cells)}"
        found.append((np.mean([100 * row["accuracy"] for _, row in both]), f"| {told} | {{:.1f}} | "
                      f"{np.mean(gains):+.1f} | {min(gains):+.1f} | {np.mean(guarded):+.1f} | {min(guarded):+.1f} | "
                      f"{below} | {np.median([row['seconds'] for _, row in both]):.0f} |"))
    lines += [line.format(mean) for mean, line in sorted(found, key=lambda item: -item[0])]
    return "\n".join(lines)


def recovery_table(cells: Mapping[tuple[str, str, str, int], Cell]) -> str:
    """Return which share of the accuracy that a corruption costs each method brings back."""
    found: dict[str, list[float]] = defaultdict(list)
    for (suite, *_), cell in cells.items():
        if suite != "corruptions" or not {START, "mismatch"} <= set(cell):
            continue
        start, clean = cell[START]["accuracy"], cell["mismatch"]["source_accuracy"]
        if clean - start < LEAST_LOST:
            continue
        for name, row in cell.items():
            if name not in (*APART, START):
                found[name].append((row["accuracy"] - start) / (clean - start))
    if not found:
        return ""
    lines = ["Corruptions: the share of the accuracy lost (that on the source's validation images, less that of "
             "source-only) which a method brings back, where 2 points or more are lost.", "",
             "| method | pairs and seeds | mean | least |", "|---|---|---|---|"]
    for name in sorted(found, key=lambda key: -float(np.mean(found[key]))):
        lines.append(f"| {name} | {len(found[name])} | {np.mean(found[name]):.2f} | {min(found[name]):.2f} |")
    return "\n".join(lines)


def kept(start: Row, row: Row, guard: str = GUARD) -> bool:
    """Return whether the guard takes what the method made."""
    before, after = start["scores"].get(guard), row["scores"].get(guard)
    return after is None or before is None or after > before


def validator_table(cells: Iterable[Cell], where: str) -> str:
    """Return for each validator what its choice among source-only and all methods loses against the best of them; ""
    where no cell has several methods. where: these cells, in words."""
    losses: dict[str, list[float]] = defaultdict(list)
    worst: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        judged = {name: row for name, row in cell.items() if name not in APART}
        if START not in judged or len(judged) < 5:
            continue
        best = max(row["accuracy"] for row in judged.values())
        for validator in judged[START]["scores"]:
            choice = max(judged.values(), key=lambda row: _score(row, validator))
            losses[validator].append(100 * (best - choice["accuracy"]))
            worst[validator].append(100 * (choice["accuracy"] - judged[START]["accuracy"]))
    if not losses:
        return ""
    lines = [f"Validators: what the choice among source-only and all methods loses, in points, {where}: "
             f"{max(map(len, losses.values()))} pairs and seeds.", "",
             "| validator | lost against the best, mean | most | the choice against source-only, mean | worst |",
             "|---|---|---|---|---|"]
    for name in sorted(losses, key=lambda key: float(np.mean(losses[key]))):
        lines.append(f"| {name} | {np.mean(losses[name]):.2f} | {max(losses[name]):.1f} | "
                     f"{np.mean(worst[name]):+.2f} | {min(worst[name]):+.1f} |")
    return "\n".join(lines)


def _score(row: Row, validator: str) -> float:
    value = row["scores"].get(validator)
    return float("-inf") if value is None else value


def mismatch_table(cells: Mapping[tuple[str, str, str, int], Cell]) -> str:
    """Return how well each distance orders the drops of accuracy, and how far the expected accuracy is off."""
    from scipy.stats import spearmanr

    known = [(key, cell["mismatch"]) for key, cell in cells.items() if "mismatch" in cell]
    if len(known) < FEWEST:
        return ""
    alike = [item for item in known if not item[0][0].endswith(SKEWED)]
    groups = {"all": alike, **{suite: list(members) for suite, members in itertools.groupby(
        sorted(known, key=lambda item: item[0][0]), key=lambda item: item[0][0])}}
    names = list(known[0][1]["distances"])
    lines = ["Mismatch: Spearman's correlation of each distance, and of the loss that is expected, with the drop of "
             "accuracy from the source's validation to the target; the mean error of the expected accuracy, in points. "
             "All: but the suites with other shares of the classes.",
             "", "| suite | pairs and seeds | " + " | ".join(names)
             + " | expected loss | error of the expected accuracy | largest |", "|" + "---|" * (len(names) + 5)]
    for suite, members in groups.items():
        drops = [row["source_accuracy"] - row["accuracy"] for _, row in members]
        if len(members) < FEWEST:
            continue
        told = [[row["distances"][name] for _, row in members] for name in names]
        told.append([row["source_accuracy"] - row["expected"]["accuracy"] for _, row in members])
        order = [spearmanr(values, drops).statistic for values in told]
        errors = [100 * abs(row["expected"]["accuracy"] - row["accuracy"]) for _, row in members]
        lines.append(f"| {suite} | {len(members)} | " + " | ".join("" if value != value else f"{value:.2f}"
                                                                    for value in order)
                     + f" | {np.mean(errors):.1f} | {max(errors):.1f} |")
    return "\n".join(lines)
