"""The tables of the selection benchmark: how each score and each static list orders the candidates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.stats import weightedtau

Row = Mapping[str, Any]
LISTS: Mapping[str, Callable[[Row], float]] = {
    "ImageNet top-1 of the architecture": lambda row: row["list_top1"] or 0.0,
    "parameters": lambda row: row["parameters"],
    "GMACs": lambda row: row["gmacs"],
}
WHOLE = ("cut", "random")
"""Words in the names of candidates that are not as they were published."""


def tables(truth: Iterable[Row], scores: Iterable[Row]) -> str:
    """Return the two tables: all candidates, and those whose weights are as they were published."""
    accuracy: dict[tuple[str, str], list[float]] = defaultdict(list)
    # The least of the seeds: what else runs on a machine only slows.
    cost: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))
    for row in truth:
        accuracy[row["set"], row["candidate"]].append(row["accuracy"])
        cost[row["set"], row["candidate"]] = min(cost[row["set"], row["candidate"]], row["cpu_seconds"])
    rankings: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in scores:
        rankings[row["set"], row["seed"]].append(row)
    complete = {key: rows for key, rows in rankings.items()
                if all((key[0], row["candidate"]) in accuracy for row in rows)}
    if not complete:
        return "Not measured yet.\n"
    seeds = {name: sorted({len(accuracy[name, row["candidate"]]) for row in rows})
             for (name, _), rows in complete.items()}
    said = ", ".join(f"{name} {'-'.join(map(str, sorted({min(found), max(found)})))}" for name, found in seeds.items())
    parts = [f"Trainings of each candidate that the truth is a mean of: {said}. Rankings: {len(complete)}.\n",
             _table("all 14 candidates", complete, accuracy),
             _table("the 8 whole ones", {key: [row for row in rows if _whole(row)] for key, rows in complete.items()},
                    accuracy)]
    ratios = [min(rows[0]["rank_cpu_seconds"] for (other, _), rows in complete.items() if other == name)
              / sum(cost[name, row["candidate"]] for row in complete[name, seed]) for name, seed in complete
              if seed == min(s for other, s in complete if other == name)]
    parts.append(f"The default ranking of all candidates took {1 / np.mean(ratios):.0f} times less CPU time than "
                 f"fine-tuning each of them once (the least of the seeds; mean over {len(ratios)} sets).\n")
    return "\n".join(parts)


def _whole(row: Row) -> bool:
    return not any(word in row["candidate"] for word in WHOLE)


def _table(title: str, rankings: Mapping[tuple[str, int], list[Row]],
           accuracy: Mapping[tuple[str, str], list[float]]) -> str:
    names = sorted({name for rows in rankings.values() for row in rows for name in row["scores"]})
    columns: dict[str, Callable[[Row], float]] = {"**default**": lambda row: row["default"]}
    columns |= {name: (lambda row, name=name: row["scores"].get(name, np.nan)) for name in names}  # type: ignore[misc]
    columns |= {"held-out log likelihood": lambda row: row["log_likelihood"]} | dict(LISTS)
    sets = list(dict.fromkeys(name for name, _ in rankings))
    lines = [f"| {title} | tau_w | 95% | regret@1 | " + " | ".join(sets) + " |",
             "|" + "---|" * (4 + len(sets))]
    entries = []
    for label, value in columns.items():
        taus, regrets = defaultdict(list), []
        for (name, _), rows in rankings.items():
            found = np.array([value(row) for row in rows], float)
            if np.isnan(found).any():
                continue
            true = np.array([np.mean(accuracy[name, row["candidate"]]) for row in rows])
            tau = float(weightedtau(found, true)[0])
            taus[name].append(0.0 if np.isnan(tau) else tau)  # all candidates alike: no order at all
            regrets.append(float(true.max() - true[int(np.argmax(found))]))
        if not taus:
            continue
        entries.append(_line(label, taus, regrets, sets))
    ceiling = _ceiling(rankings, accuracy)
    if ceiling[0]:
        entries.append(_line("*one fine-tuning of each, against the mean of its other seeds*", *ceiling, sets))
    return "\n".join([*lines, *(line for _, line in sorted(entries, key=lambda entry: -entry[0]))]) + "\n"


def _ceiling(rankings: Mapping[tuple[str, int], list[Row]],
             accuracy: Mapping[tuple[str, str], list[float]]) -> tuple[dict[str, list[float]], list[float]]:
    """Return tau and regret of the truth itself: of one seed's trainings, against the mean of the others'."""
    taus: dict[str, list[float]] = defaultdict(list)
    regrets = []
    for name, rows in {name: rows for (name, _), rows in rankings.items()}.items():
        table = [accuracy[name, row["candidate"]] for row in rows]
        for one in range(min(map(len, table)) if min(map(len, table)) > 1 else 0):
            own = np.array([values[one] for values in table])
            rest = np.array([np.mean([*values[:one], *values[one + 1:]]) for values in table])
            taus[name].append(float(weightedtau(own, rest)[0]))
            regrets.append(float(rest.max() - rest[int(np.argmax(own))]))
    return taus, regrets


def _line(label: str, taus: Mapping[str, list[float]], regrets: list[float], sets: list[str]) -> tuple[float, str]:
    """Return the mean tau, and the row of one score."""
    means = np.array([np.mean(taus[name]) for name in sets if name in taus])
    half = 1.96 * means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else float("nan")
    cellwise = " | ".join(f"{np.mean(taus[name]):.2f}" if name in taus else "-" for name in sets)
    return float(means.mean()), (f"| {label} | {means.mean():.2f} | {means.mean() - half:.2f} to "
                                 f"{means.mean() + half:.2f} | {100 * np.mean(regrets):.1f} | {cellwise} |")
