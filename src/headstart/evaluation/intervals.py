"""Intervals: a seeded percentile bootstrap over samples, or over groups where samples come in groups.

# N samples, G groups, R resamples
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.metrics.registry import Metric, metric
from headstart.probabilities import wilson
from headstart.seeds import generator

LEVEL = 0.95
LARGEST_CHUNK = 2**22
"""Weights held at once: 32 MB, however many samples and resamples there are."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval; NaN where undefined."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Return {"value", "low", "high"} with null for what is undefined."""
        return {name: None if math.isnan(number) else float(number)
                for name, number in (("value", self.value), ("low", self.low), ("high", self.high))}


def resample(count: int, resamples: int, *, seed: int, groups: Sequence[object] | None = None) -> Iterator[np.ndarray]:
    """Yield float64 [r, N] chunks of counts, `resamples` rows in all: how often each sample was drawn.

    groups: the group of each sample; whole groups are drawn, so that the interval knows that their samples are alike.
    Source: Efron 1979; for groups Davison & Hinkley, "Bootstrap Methods and their Application", 1997, 3.8.
    """
    rng = generator(seed, "bootstrap")
    units, member = (count, None) if groups is None else _numbered(groups)
    step = max(1, LARGEST_CHUNK // max(1, count))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, units, (rows, units)) + np.arange(rows)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        yield counts if member is None else counts[:, member]


def bootstrap(score: Callable[[np.ndarray], dict[str, np.ndarray]], count: int, *, resamples: int, seed: int,
              groups: Sequence[object] | None = None, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return {name: float64 [R]}, the values of `score` (weights [r, N] -> values [r]) on each resample."""
    base = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    parts = [score(counts * base) for counts in resample(count, resamples, seed=seed, groups=groups)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def interval(name: str, value: float, replicates: np.ndarray, *, size: float) -> Interval:
    """Return the 95 % percentile interval of a metric, from its values on the resamples.

    size: the number of independent units that the value rests on; see `effective_size`.
    A perfect score has no spread in any resample, and [1, 1] would claim certainty: there the bound is Wilson's for a
    proportion of `size` trials. That is exact in kind for accuracy; for the others that are perfect only if every
    decision is right (F1, kappa ...) or every pair is in order (AUROC), it is a stand-in.
    Bounds are NaN where there are no resamples or the metric is undefined on more than half of them.
    """
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(replicates) or len(defined) * 2 < len(replicates):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low < 1e-12 and _at_the_end(metric(name), value):
        share = wilson(1.0 if value > 0.5 else 0.0, size)
        return Interval(value, min(value, share[0]), max(value, share[1]))
    return Interval(value, float(low), float(high))


def effective_size(count: int, *, groups: Sequence[object] | None = None, weights: np.ndarray | None = None) -> float:
    """Return how many equal, independent units the samples are worth: Kish's (sum w)^2 / sum w^2 over the groups."""
    base = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    total = base if groups is None else np.bincount(_numbered(groups)[1], weights=base)
    return float(total.sum() ** 2 / (total**2).sum())


def _at_the_end(found: Metric, value: float) -> bool:
    """Return whether a share can't get better or worse; measures of distance (log loss, Brier ...) have no trials."""
    if not found.higher_is_better and found.name != "hamming_loss":
        return False
    return math.isclose(value, 1.0, abs_tol=1e-12) or (found.low == 0 and math.isclose(value, 0.0, abs_tol=1e-12))


def _numbered(groups: Sequence[object]) -> tuple[int, np.ndarray]:
    """Return the number of groups, and int64 [N], the number of each sample's group."""
    seen: dict[object, int] = {}
    member = np.array([seen.setdefault(group, len(seen)) for group in groups], np.int64)
    return len(seen), member
