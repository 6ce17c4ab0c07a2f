"""Measures: what is known of masks by image and class, which is all that any metric of them needs.

# N images, C classes, R resamples
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.metrics import boundaries, masks
from headstart.metrics.boundaries import Boundaries, boundaries_of_images, boundary_scorer
from headstart.metrics.masks import Overlaps, Scorer, mask_scorer, of_images

NAMES = (*masks.NAMES, *boundaries.NAMES)
COLUMNS = {"right_pixels": "right", "true_pixels": "true", "predicted_pixels": "answered"}
"""Of predictions.parquet -> of `Overlaps`; those of `Boundaries` bear the same names there."""


@dataclass(frozen=True)
class Measures:
    """Of N images."""

    overlaps: Overlaps
    boundaries: Boundaries | None
    """None in a run that was made before there were any."""

    def __len__(self) -> int:
        return len(self.overlaps)

    def scorer(self) -> Scorer:
        """Return a call from weights [R, N] to {name: [R]}: all of `NAMES` that can be, and others by class."""
        known = [mask_scorer(self.overlaps)]
        if self.boundaries is not None:
            known.append(boundary_scorer(self.boundaries))
        return lambda weights: {name: values for score in known for name, values in score(weights).items()}

    def of_images(self) -> dict[str, np.ndarray]:
        """Return `miou`, `pixel_accuracy` and the metrics of boundaries of each image alone, float64 [N]."""
        return of_images(self.overlaps) | ({} if self.boundaries is None else boundaries_of_images(self.boundaries))

    def rows(self) -> list[dict[str, Any]]:
        """Return the columns of each image: numbers of its own, and lists by class."""
        known = {column: getattr(self.overlaps, name) for column, name in COLUMNS.items()}
        if self.boundaries is not None:
            known |= {name: getattr(self.boundaries, name) for name in boundaries.FIELDS}
        return [{name: values[row].tolist() for name, values in {**self.of_images(), **known}.items()}
                for row in range(len(self))]


def measures_in(rows: Sequence[Mapping[str, Any]]) -> Measures:
    """Return what rows of predictions.parquet hold, one or more: the way back from `Measures.rows`."""
    def column(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows])

    overlaps = Overlaps(**{name: column(key) for key, name in COLUMNS.items()})
    whole = all(name in row for row in rows for name in boundaries.FIELDS)
    return Measures(overlaps, Boundaries(*map(column, boundaries.FIELDS)) if whole else None)
