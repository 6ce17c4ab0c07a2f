"""Forecast: how accurate a probe would be with more labels, as far as its learning curve so far tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv

from headstart.seeds import generator
from headstart.selection.curve import Curve
from headstart.selection.laws import LAWS, fit, weights

# S sizes, T targets, R draws

DRAWS = 400
LEVEL = 0.8
"""Of the intervals."""
FEWEST_POINTS = 3
FEW, HARDLY = 8, 0.2
"""Images below which what is right of a class can't be judged; share right below which it is hardly ever so."""


@dataclass(frozen=True)
class Point:
    """The accuracy with so many images, and its 80% interval."""

    images: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """A learning curve, and where it goes."""

    curve: Curve
    law: str
    """The family that foretold the last known points best."""
    belief: dict[str, float]
    """Weight of each family in the forecast."""
    draws: np.ndarray
    """float64 [R, G]: accuracy on a grid of sizes, a row for each draw of law and resample."""
    grid: np.ndarray
    """float64 [G]: the sizes, from the smallest known to GRID_END times the largest."""

    def at(self, images: float) -> Point:
        """Return the forecast for so many images to learn from.

        Below the smallest known size, and beyond the grid's end, it is that of the nearest size of the grid; `images`
        of the point tells which.
        """
        images = float(np.clip(images, self.grid[0], self.grid[-1]))
        place = np.interp(np.log(images), np.log(self.grid), np.arange(len(self.grid)))
        low_index = int(min(np.floor(place), len(self.grid) - 2))
        share = place - low_index
        values = self.draws[:, low_index] * (1 - share) + self.draws[:, low_index + 1] * share
        low, value, high = np.quantile(values, ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2))
        return Point(round(images), float(value), float(low), float(high))

    def needed(self, accuracy: float) -> tuple[int | None, int | None, int | None]:
        """Return images for an accuracy: (few, if all goes well; likely; many), None beyond the grid's end.

        The smallest known size stands for "so many or fewer".
        80% of the draws reach the accuracy between the first and the last.
        """
        reached = np.where(self.draws.max(axis=1) >= accuracy,
                           self.grid[np.argmax(self.draws >= accuracy, axis=1)], np.inf)
        found = np.quantile(reached, ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2), method="nearest")
        few, likely, many = (None if np.isinf(value) else int(np.ceil(value)) for value in found)
        return few, likely, many


GRID_END = 40
"""Times the largest known size."""


def forecast(curve: Curve, *, seed: int) -> Forecast | None:
    """Return the forecast of a curve; None where it has fewer than three points.

    Each draw resamples the folds, and the images where all folds say the same; it takes one of the laws by its weight,
    fits it, and misses as far as the law misses the known points: the interval holds what folds, images and laws leave
    open. benchmarks/bench_forecast.py measures how often that is enough.
    """
    if len(curve.sizes) < FEWEST_POINTS:
        return None
    rng = generator(seed, "forecast")
    errors = 1 - curve.accuracy
    spread = standard_errors(curve)
    belief = weights(curve.sizes, errors.mean(axis=1), spread)
    names = list(belief)
    sizes = curve.sizes.astype(np.float64)
    grid = np.geomspace(sizes[0], sizes[-1] * GRID_END, 80)
    of_images = _of_images(curve)
    draws = np.empty((DRAWS, len(grid)))
    for row in range(DRAWS):
        folds = rng.integers(0, errors.shape[1], errors.shape[1])
        law = LAWS[names[int(rng.choice(len(names), p=list(belief.values())))]]
        drawn = np.clip(errors[:, folds].mean(axis=1) + of_images(rng.random()), 0.0, 1.0)
        ahead = fit(law, sizes, drawn, spread)
        missed = float(np.mean((ahead(sizes) - drawn) ** 2 - spread ** 2))
        draws[row] = 1 - np.clip(ahead(grid) + rng.normal() * np.sqrt(max(missed, 0.0)), 0.0, 1.0)
    return Forecast(curve, max(belief, key=lambda name: belief[name]), belief, draws, grid)


def standard_errors(curve: Curve) -> np.ndarray:
    """Return float64 [S]: the standard error of each mean, not below that of a share of the images held out."""
    rough = np.sqrt(np.maximum(curve.mean * (1 - curve.mean), 0.01) / curve.judging)
    return np.asarray(np.maximum(_of_folds(curve), rough))


def _of_folds(curve: Curve) -> np.ndarray:
    return np.asarray(curve.accuracy.std(axis=1, ddof=1) / np.sqrt(curve.accuracy.shape[1]))


def _of_images(curve: Curve) -> Callable[[float], np.ndarray]:
    """Return what the choice of the images leaves open and the folds do not show: a quantile -> float64 [S].

    Folds that are all right differ in nothing, and yet 24 images without a mistake do not promise 99.9%. Jeffreys'
    posterior of a share (Brown, Cai & DasGupta, "Interval Estimation for a Binomial Proportion", 2001), as far as
    the folds differ by less than such a choice makes them; one quantile for all sizes, which are judged on the same
    images.
    """
    errors, count = 1 - curve.mean, curve.judging
    wrong, right = errors * count + 0.5, curve.mean * count + 0.5
    # An image that was held out twice counts twice here: that much more alike are the means of the folds.
    variance = wrong * right / ((wrong + right) ** 2 * (wrong + right + 1))
    expected = variance * count / (curve.held_out * curve.accuracy.shape[1])
    unseen = np.sqrt(np.maximum(1 - _of_folds(curve) ** 2 / expected, 0.0))
    return lambda quantile: np.asarray((betaincinv(wrong, right, quantile) - errors) * unseen)


def label_first(curve: Curve, classes: Sequence[str]) -> str | None:
    """Return the class with mistakes left that gained most from the last doubling, beyond chance; None where none did.

    The largest of several gains by chance is larger than one of them: the level is divided by the number of classes.
    """
    if curve.judged is None:
        return None
    sure = NormalDist().inv_cdf(1 - 0.025 / len(classes))
    places = {name: c for c, name in enumerate(classes)}
    for name, now, gained in gains(curve, classes):
        count, before = max(1.0, float(curve.judged[places[name]])), now - gained
        error = np.sqrt((now * (1 - now) + before * (1 - before)) / count)
        # Less than one image of a class is no mistake that more labels would mend.
        if gained > sure * error and 1 - now >= 0.5 / count:
            return name
    return None


def lacking(curve: Curve, classes: Sequence[str], images: np.ndarray) -> list[tuple[str, int, float | None]]:
    """Return (class, images, share right now) of those with too few images to judge or hardly ever right, worst first.

    images: int [C], those with each class that the curve could read. A class of a few that are all right is left out;
    one without any is hardest of all to judge: its share is None.
    """
    judged = images if curve.judged is None else curve.judged
    found: list[tuple[str, int, float | None]] = []
    for name, having, count, right in zip(classes, images, judged, curve.per_class[-1], strict=True):
        if not having or np.isnan(right):
            found.append((name, int(having), None))
        elif (having < FEW and 1 - right >= 0.5 / max(1.0, count)) or right < HARDLY:
            found.append((name, int(having), float(right)))
    return sorted(found, key=lambda item: (-1.0 if item[2] is None else item[2], item[1]))


def gains(curve: Curve, classes: Sequence[str]) -> list[tuple[str, float, float]]:
    """Return (class, share right now, what the last doubling brought), the class that gained most first."""
    if len(curve.sizes) < 2:
        return []
    found = [(name, float(curve.per_class[-1, c]), float(curve.per_class[-1, c] - curve.per_class[-2, c]))
             for c, name in enumerate(classes) if not np.isnan(curve.per_class[-1, c])]
    return sorted(found, key=lambda item: -item[2])
