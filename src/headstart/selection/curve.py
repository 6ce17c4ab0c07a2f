"""Curve: the accuracy of a probe on ever more images, on images that it was not fitted on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.held_out import answers, divide
from headstart.scores.spectrum import coordinates
from headstart.seeds import derive
from headstart.selection.pool import nested

# N images, D features, C classes, S sizes, F folds over all repeats

FOLDS, REPEATS = 4, 2
"""Each repeat deals the folds anew; an image is held out once in each."""
FEWEST = 1.5
"""Images a class in the smallest subset, at least."""
COMPONENTS = 256
"""Principal components that stand for longer features: the fits of a curve are many, and the rest hardly tells."""
MOST_SIZES, LEAST_SIZES = 6, 3
PENALTIES = tuple(float(l2) for l2 in np.logspace(0.5, -3.5, 6))


@dataclass(frozen=True)
class Curve:
    """How often the held-out images were right, by the number of images that were learnt from."""

    sizes: np.ndarray
    """int64 [S], rising."""
    accuracy: np.ndarray
    """float64 [S, F]: on the held-out images of each fold; for multi-label the share of right labels."""
    held_out: int
    """Images of one fold."""
    per_class: np.ndarray
    """float64 [S, C]: share of each class's images that were right, over all folds; for multi-label of all images."""
    judged: np.ndarray | None = None
    """float64 [C]: different images that each share of `per_class` is of; None where that is not known."""
    different: int | None = None
    """Different images that were held out in all; None: each fold has others."""

    @property
    def mean(self) -> np.ndarray:
        """Return float64 [S]."""
        return np.asarray(self.accuracy.mean(axis=1))

    @property
    def judging(self) -> int:
        """Return the number of different images that each mean is of."""
        return self.different or self.held_out * self.accuracy.shape[1]


def smallest(classes: int) -> float:
    """Return how many images the smallest subset has at least."""
    return max(FEWEST * classes, 4.0)


def sizes_for(images: int, classes: int) -> np.ndarray:
    """Return the sizes of the nested subsets: halves of `images`, down to FEWEST a class, at most MOST_SIZES."""
    found = [images]
    while len(found) < MOST_SIZES and found[-1] // 2 >= smallest(classes):
        found.append(found[-1] // 2)
    return np.array(found[::-1])


def probe_curve(features: np.ndarray, labels: np.ndarray, *, classes: int, seed: int,
                groups: Sequence[str] | None = None, repeats: int = REPEATS,
                step: Callable[[int], None] = lambda done: None,
                remaining: Callable[[], float] = lambda: math.inf) -> Curve:
    """Return the learning curve of a linear probe on float [N, D] features.

    labels: int64 [N] or 0/1 [N, C]. Subsets of one fold are nested and show every class. The penalty of each size is
    the one with the lowest held-out loss over all folds. step: told how many of the repeats are done. remaining:
    seconds left; when they are up no other repeat is begun, and the first goes no further down than LEAST_SIZES.
    """
    points = coordinates(features, COMPONENTS) if features.shape[1] > COMPONENTS else features
    dealt = [list(divide(labels, FOLDS, seed=derive(seed, "curve", repeat) % 2**31, groups=groups))
             for repeat in range(repeats)]
    sizes = sizes_for(min(len(rest) for parts in dealt for rest, _ in parts), classes)
    accuracy: list[list[float]] = [[] for _ in sizes]
    right, count = np.zeros((len(sizes), classes)), np.zeros(classes)
    lowest, done = 0, 0
    for repeat, parts in enumerate(dealt):
        if repeat and remaining() <= 0:
            break
        # From the largest down: that is the one that a forecast goes on from.
        for place in range(len(sizes) - 1, lowest - 1, -1):
            if not repeat and place < len(sizes) - LEAST_SIZES and remaining() <= 0:
                lowest = place + 1
                break
            size = sizes[place]
            few = [(rest[nested(labels[rest], size, seed=derive(seed, "nested", repeat, fold) % 2**31)], left)
                   for fold, (rest, left) in enumerate(parts)]
            found = answers(points, labels, few, classes=classes, penalties=PENALTIES)
            correct = found.correct()
            accuracy[place] += [float(correct[left].mean()) for _, left in parts]
            if labels.ndim == 1:
                right[place] += np.bincount(labels, weights=correct, minlength=classes)
            else:
                right[place] += ((found.logits > 0) == (labels > 0.5)).sum(axis=0)
        count += np.bincount(labels, minlength=classes) if labels.ndim == 1 else len(labels)
        done = repeat + 1
        step(done)
    per_class = np.divide(right, count, out=np.full(right.shape, np.nan), where=count > 0)
    held = min(len(left) for parts in dealt for _, left in parts)
    return Curve(sizes[lowest:], np.array(accuracy[lowest:]), held, per_class[lowest:], count / done,
                 len(labels))
