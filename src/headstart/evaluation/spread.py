"""Spread: what the same metric on several folds says of the method, beyond any one of them.

# k folds
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from headstart.evaluation.intervals import LEVEL
from headstart.metrics.registry import metric


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over folds; NaN where it is undefined."""

    mean: float
    deviation: float
    """Standard deviation of one fold, with k - 1 in the denominator."""
    low: float
    high: float
    """95 % interval of the mean by Student's t, as if the folds were independent."""
    corrected_low: float
    corrected_high: float
    """The same with Nadeau and Bengio's correction for the training images that folds share."""

    def to_json(self) -> dict[str, float | None]:
        """Return plain values with null for what is undefined."""
        return {name: None if math.isnan(number) else float(number) for name, number in asdict(self).items()}


def spread(name: str, values: Sequence[float], *, val_per_train: float) -> Spread:
    """Return mean and spread over folds of the metric called `name`. values: float [k], k > 1.

    val_per_train: validation images of a fold for each training image, 1 / (k - 1) where folds are of one size.
    All is NaN where a fold lacks the metric; the intervals also where all folds give the same number, because a
    spread of nothing would claim certainty. Intervals are cut at the ends of the metric's range.
    Folds share most of their training images, so that their results are not independent: no unbiased estimate of the
    variance of the mean exists (Bengio & Grandvalet, JMLR 2004), and the plain interval is too narrow. The corrected
    one takes deviation^2 * (1/k + val/train) for it (Nadeau & Bengio, Machine Learning 2003).
    """
    from scipy.stats import t

    found = np.asarray(values, np.float64)
    if np.isnan(found).any():
        return Spread(*[math.nan] * 6)
    k, mean, deviation = len(found), float(found.mean()), float(found.std(ddof=1))
    reach = float(t.ppf((1 + LEVEL) / 2, k - 1)) * deviation if deviation > 1e-12 else math.nan
    lowest, highest = metric(name).low, metric(name).high
    ends = [float(np.clip(mean + sign * reach * math.sqrt(variance), lowest, highest))
            for variance in (1 / k, 1 / k + val_per_train) for sign in (-1, 1)]
    return Spread(mean, deviation, *ends)
