"""By class: a distance measured within each class, so that another mix of classes is no distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.distances.distance import Distance, Measured
from headstart.errors import DataError

# N and M images, D features

FEWEST = 2
"""Images of a class in each set below which it is left out."""


@dataclass(frozen=True)
class ByClass:
    """A distance of each class that both sets show."""

    mean: float
    """Over the classes, each counted once."""
    classes: dict[int, Measured]
    """By label, rising."""


def by_class(distance: Distance, first: np.ndarray, first_labels: np.ndarray, second: np.ndarray,
             second_labels: np.ndarray, *, rng: np.random.Generator) -> ByClass:
    """Return the distance of float [N, D] and [M, D] within each class, labels int [N] and [M], and their mean.

    Raises DataError where the lengths differ, or no class has two images in both sets.
    """
    if len(first) != len(first_labels) or len(second) != len(second_labels):
        raise DataError(f"by class: each image needs one label; got {len(first)} and {len(second)} images with "
                        f"{len(first_labels)} and {len(second_labels)} labels.")
    counted = [dict(zip(*np.unique(labels, return_counts=True), strict=True))
               for labels in (first_labels, second_labels)]
    shared = [label for label, count in counted[0].items() if min(count, counted[1].get(label, 0)) >= FEWEST]
    if not shared:
        raise DataError(f"by class: no class has {FEWEST} images in both sets, so that nothing can be compared within "
                        "classes. Label more images, or measure the sets as a whole.")
    found = {int(label): distance(first[first_labels == label], second[second_labels == label], rng=rng)
             for label in shared}
    return ByClass(float(np.mean([one.value for one in found.values()])), found)
