"""Apart: how far two sets of images lie apart in the features of a backbone, and what that distance would be by chance.

# N and M images, D features
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.distances.by_class import by_class
from headstart.distances.distance import DISTANCES, Distance, Measured
from headstart.errors import DataError
from headstart.seeds import generator

Level = Literal["none", "slight", "clear", "severe"]
LEVELS: tuple[Level, ...] = ("none", "slight", "clear", "severe")
ORDER = ("proxy_a", "mmd", "frechet")
"""The distances that the verdict goes by come first."""
LIFTED = ("coral", "sliced_wasserstein")
"""Distances that few images lift: the sets and the halves are measured on equally many."""
MOST = 2000
"""Images of each set that are looked at, where nothing else is asked for."""
HALVINGS = 3
HALF = 500
"""Images of each half at most."""
FEWEST = 6
"""Images of each set without which nothing can be said: halves of fewer tell nothing."""
EACH = 8
"""Images of a class in both sets from which on it is measured by itself."""
MOST_CLASSES = 30
CHANCE = 0.01
"""P-value of the MMD below which the sets differ by more than chance."""
CLEAR, SEVERE = 0.15, 0.6
"""Fréchet distance as a share of the first set's own variance from which a mismatch is clear, or severe."""
LOSES, LOSES_MUCH = 0.05, 0.2
"""Expected loss of accuracy from which it is so whatever the distance."""


@dataclass(frozen=True)
class Gap:
    """One distance between two sets."""

    name: str
    whole: Measured
    halves: tuple[float, ...]
    """The same of random halves of the first set: as if nothing differed. Empty where there are too few images."""
    within: float | None
    """Mean over the classes that both sets show; None where that can't be told."""
    classes: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"value": self.whole.value, "low": self.whole.low, "high": self.whole.high,
                "p_value": self.whole.p_value, "halves": list(self.halves), "within_classes": self.within,
                "classes": self.classes}


@dataclass(frozen=True)
class Apart:
    """How far two sets lie apart."""

    gaps: dict[str, Gap]
    """By name of the distance."""
    spread: float
    """Total variance of the first set's features: the trace of their covariance."""
    counts: tuple[int, int]
    """Images of both sets."""

    @property
    def share(self) -> float:
        """The Fréchet distance as a share of how much the first set itself varies; at least 0."""
        return max(0.0, self.gaps["frechet"].whole.value) / max(self.spread, np.finfo(float).tiny)

    @property
    def told_apart(self) -> bool:
        """Whether the proxy A-distance is, with its whole interval, above that of each pair of halves, and above 0."""
        gap = self.gaps["proxy_a"]
        return (gap.whole.low or 0.0) > max(0.0, *gap.halves, 0.0)

    @property
    def beyond_chance(self) -> bool:
        """Whether the MMD is larger than shuffling the images would make it."""
        found = self.gaps["mmd"].whole.p_value
        return found is not None and found < CHANCE

    def level(self, loss: float | None = None) -> Level:
        """Return the mismatch in a word.

        loss: accuracy that is expected to be lost, in -1..1, if that is known. `none` where neither the classifier
        nor the MMD tells the sets apart by more than chance. Else the larger of two words: by the Fréchet distance as
        a share of the first set's variance (clear from 0.15, severe from 0.6), and by the expected loss (clear from
        0.05, severe from 0.2); `slight` below both.
        """
        if not (self.told_apart or self.beyond_chance):
            return "none"
        lost = loss or 0.0
        if self.share >= SEVERE or lost >= LOSES_MUCH:
            return "severe"
        return "clear" if self.share >= CLEAR or lost >= LOSES else "slight"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"distances": {name: gap.to_json() for name, gap in self.gaps.items()}, "variance": self.spread,
                "frechet_share": self.share, "told_apart": self.told_apart, "beyond_chance": self.beyond_chance}


def apart(first: np.ndarray, second: np.ndarray, *, seed: int, labels: tuple[np.ndarray, np.ndarray] | None = None,
          classes: tuple[str, ...] = ()) -> Apart:
    """Return every distance of features float [N, D] and [M, D].

    labels: int [N] and [M], positions in `classes`, where both sets have them; -1 for another class.
    Raises DataError where a set has fewer than six images.
    """
    if min(len(first), len(second)) < FEWEST:
        raise DataError(f"{len(first)} and {len(second)} images are too few to compare; {FEWEST} of each are the "
                        "least.")
    parts = DISTANCES.all()
    names = [*ORDER, *(name for name in parts if name not in ORDER)]
    gaps = {name: _gap(name, parts[name](), first, second, labels, classes, seed) for name in names}
    spread = float(first.var(axis=0, dtype=np.float64, ddof=1).sum())
    return Apart(gaps, spread, (len(first), len(second)))


def _gap(name: str, distance: Distance, first: np.ndarray, second: np.ndarray,
         labels: tuple[np.ndarray, np.ndarray] | None, classes: tuple[str, ...], seed: int) -> Gap:
    count = min(len(first) // 2, len(second), HALF)
    halves = []
    for number in range(HALVINGS):
        order = generator(seed, "halves", number).permutation(len(first))
        one, two = first[order[:count]], first[order[count:2 * count]]
        halves.append(distance(one, two, rng=generator(seed, name, number)).value)
    rng = generator(seed, name)
    sets = [part[rng.permutation(len(part))[:count]] if name in LIFTED else part for part in (first, second)]
    whole = distance(*sets, rng=rng)  # before the classes: what labels say must not change it
    within, found = (None, {}) if labels is None else _within(distance, (first, second), labels, classes, rng)
    return Gap(name, whole, tuple(halves), within, found)


def _within(distance: Distance, sets: tuple[np.ndarray, np.ndarray], labels: tuple[np.ndarray, np.ndarray],
            classes: tuple[str, ...], rng: np.random.Generator) -> tuple[float | None, dict[str, float]]:
    """Return the mean over the classes that both sets show, the most frequent thirty of them, and each by its name."""
    counts = np.minimum(*(np.bincount(part[part >= 0], minlength=len(classes)) for part in labels))
    chosen = [label for label in np.argsort(-counts, kind="stable")[:MOST_CLASSES] if counts[label] >= EACH]
    if not chosen:
        return None, {}
    kept = [np.isin(part, chosen) for part in labels]
    found = by_class(distance, sets[0][kept[0]], labels[0][kept[0]], sets[1][kept[1]], labels[1][kept[1]], rng=rng)
    return found.mean, {classes[label]: one.value for label, one in found.classes.items()}
