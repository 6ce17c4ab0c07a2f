"""Comparison: is one model better than another on the same images? Paired bootstrap, and McNemar for accuracy.

# N samples, C classes, R resamples
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headstart.errors import ConfigError, listed
from headstart.evaluation.intervals import LEVEL, Interval, bootstrap
from headstart.metrics.compute import scorer
from headstart.metrics.registry import metric as metric_named
from headstart.tasks.task import ImageTask


@dataclass(frozen=True, slots=True)
class Difference:
    """Metric of a minus metric of b on the same samples; NaN where undefined."""

    metric: str
    value: float
    low: float
    high: float
    probability_a_better: float
    """Share of the resamples in which a is better; a tie counts one half."""
    mcnemar_p: float | None
    """Exact two-sided p of McNemar's test; for accuracy of ungrouped samples only."""
    verdict: str
    """Of a: `better`, `worse` or `no difference shown`."""

    @property
    def difference(self) -> Interval:
        """Return the difference as an interval."""
        return Interval(self.value, self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Return plain values with null for what is undefined."""
        share = None if math.isnan(self.probability_a_better) else self.probability_a_better
        return {"metric": self.metric, "difference": self.difference.to_json(),
                "probability_a_better": share, "mcnemar_p": self.mcnemar_p, "verdict": self.verdict}


def compare(labels: np.ndarray, probabilities_a: np.ndarray, probabilities_b: np.ndarray, *, task: ImageTask,
            metric: str = "accuracy", decisions: tuple[np.ndarray, np.ndarray] | None = None,
            groups: Sequence[object] | None = None, weights: np.ndarray | None = None, seed: int = 0,
            resamples: int = 1000) -> Difference:
    """Return the difference a - b of a metric with its 95 % paired bootstrap interval.

    labels: int [N], or 0/1 [N, C]. probabilities: float [N, C], rows in the same order. decisions: of a and of b, like
    labels; None takes those of `task`, which is right where both decide alike. Each resample draws the same samples
    (or groups) for both. The verdict needs an interval without 0 and, for accuracy, also McNemar's p < 0.05:
    the bootstrap alone is too sure where very few images differ.
    Sources: Efron & Tibshirani 1993, chapter 16; McNemar, Psychometrika 1947 (exact binomial form).
    """
    labels = np.asarray(labels).astype(np.int64)
    decided_a, decided_b = decisions or (task.decide(probabilities_a), task.decide(probabilities_b))
    first, second = (scorer(labels, probabilities, predicted=decided, names=[metric])
                     for probabilities, decided in ((probabilities_a, decided_a), (probabilities_b, decided_b)))

    def difference(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {metric: first(rows)[metric] - second(rows)[metric]}

    base = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    value = float(difference(base[None])[metric][0])
    drawn = bootstrap(difference, len(labels), resamples=resamples, seed=seed, groups=groups, weights=base)
    p = None
    if metric == "accuracy" and groups is None:
        right_a, right_b = decided_a == labels, decided_b == labels
        p = mcnemar(int((right_a & ~right_b).sum()), int((~right_a & right_b).sum()))
    return concluded(metric, value, drawn.get(metric, np.zeros(0)), mcnemar_p=p)


def concluded(metric: str, value: float, replicates: np.ndarray, *, mcnemar_p: float | None = None) -> Difference:
    """Return the difference with its 95 % percentile interval and the verdict. replicates: float [R], NaN left out."""
    found = replicates[~np.isnan(replicates)]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(found) else (math.nan, math.nan)
    sign = 1 if metric_named(metric).higher_is_better else -1
    better = float(((sign * found > 0) + 0.5 * (found == 0)).mean()) if len(found) else math.nan
    return Difference(metric, value, float(low), float(high), better, mcnemar_p,
                      _verdict(sign * low, sign * high, mcnemar_p))


def compare_tables(a: pd.DataFrame, b: pd.DataFrame, *, task: ImageTask, metric: str = "accuracy", split: str = "test",
                   names: tuple[str, str] = ("a", "b"), seed: int = 0, resamples: int = 1000,
                   groups: dict[str, object] | None = None) -> Difference:
    """Return the difference of two predictions tables (columns of predictions.parquet), matched by sample id.

    names: how the runs are called in messages. groups: sample id -> group.
    Raises ConfigError where the two do not hold the same samples with the same labels and classes.
    """
    tables = [table[table["split"] == split].set_index("id").sort_index() for table in (a, b)]
    _refuse_different(tables, names, split)
    probabilities = [np.stack([np.asarray(p, np.float64) for p in table["probabilities"]]) for table in tables]
    if probabilities[0].shape != probabilities[1].shape:
        raise ConfigError(f"{names[0]} has {probabilities[0].shape[1]} classes, {names[1]} has "
                          f"{probabilities[1].shape[1]}. Only runs with the same classes can be compared.")
    labels = _labels(tables[0]["label"], probabilities[0].shape[1])
    # As the runs decided: each may have thresholds of its own.
    first, second = (_labels(table["predicted"], probabilities[0].shape[1]) for table in tables)
    of = None if groups is None else [groups.get(name, name) for name in tables[0].index]
    return compare(labels, *probabilities, task=task, metric=metric, decisions=(first, second), groups=of, seed=seed,
                   resamples=resamples)


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of McNemar's test. only_a: samples that a alone has right; only_b likewise."""
    count, fewer = only_a + only_b, min(only_a, only_b)
    # Whole numbers: a float sum of binomials would overflow beyond a thousand.
    tail = sum(math.comb(count, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**count) if count < 1000 else _mcnemar_many(count, fewer)


def _mcnemar_many(count: int, fewer: int) -> float:
    """Return the same for many discordant samples, summing the binomial's tail in logarithms."""
    k = np.arange(fewer + 1)
    gamma = np.vectorize(math.lgamma)
    terms = math.lgamma(count + 1) - gamma(k + 1) - gamma(count - k + 1) - count * math.log(2)
    return float(min(1.0, 2 * np.exp(np.logaddexp.reduce(terms))))


def _verdict(one: float, other: float, p: float | None) -> str:
    """Return the verdict on a; the bounds point upwards where a is better."""
    if math.isnan(one) or (p is not None and p >= 1 - LEVEL):
        return "no difference shown"
    if min(one, other) > 0:
        return "better"
    return "worse" if max(one, other) < 0 else "no difference shown"


def _refuse_different(tables: list[pd.DataFrame], names: tuple[str, str], split: str) -> None:
    first, second = tables
    for table, name in zip(tables, names, strict=True):
        if not len(table):
            raise ConfigError(f"{name} has no predictions on the {split} split, so there is nothing to compare.")
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()].unique().tolist()
            raise ConfigError(f"{name} predicts some samples twice:\n{listed(twice)}\nIt can't be matched by id.")
    lone = sorted(set(first.index) ^ set(second.index))
    if lone:
        raise ConfigError(f"{names[0]} and {names[1]} were tested on different images; {len(lone)} are in one only:\n"
                          f"{listed(lone)}\nCompare runs of the same data and seed, or evaluate both on one set.")
    changed = [i for i, x, y in zip(first.index, first["label"], second["label"], strict=True)
               if not np.array_equal(np.sort(x), np.sort(y))] if np.ndim(first["label"].iloc[0]) else \
        first.index[first["label"].to_numpy() != second["label"].to_numpy()].tolist()
    if changed:
        raise ConfigError(f"{len(changed)} images have another label in {names[0]} than in {names[1]}:\n"
                          f"{listed(changed)}\nThe labels or the class list changed between the runs.")


def _labels(column: pd.Series[Any], classes: int) -> np.ndarray:
    """Return int64 [N], or 0/1 [N, C] where each entry is a list of class indices."""
    if np.ndim(column.iloc[0]) == 0:
        return column.to_numpy(np.int64)
    labels = np.zeros((len(column), classes), np.int64)
    for row, present in enumerate(column):
        labels[row, np.asarray(present, np.int64)] = 1
    return labels
