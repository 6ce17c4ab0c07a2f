"""Distance: the contract of a measure of how far two sets of images lie apart in the features of a backbone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from headstart.catalog import Catalog
from headstart.errors import DataError
from headstart.part import Part

# N and M images, D features


@dataclass(frozen=True)
class Measured:
    """A distance with what is known of its uncertainty."""

    value: float
    low: float | None = None
    """Lower end of the 95% interval; None where the measure has none."""
    high: float | None = None
    p_value: float | None = None
    """Chance of a value as large as this for two samples of one population; None where the measure tests nothing."""


class Distance(Part):
    """A number in float64, larger for sets that lie further apart; 0 (or near it) for samples of one population."""

    def __call__(self, first: np.ndarray, second: np.ndarray, *, rng: np.random.Generator) -> Measured:
        """Return the distance of float [N, D] and float [M, D]; the same whichever comes first, but for chance.

        Raises DataError where a set has fewer than two vectors, the widths differ, or a value is not finite.
        """
        first, second = (np.asarray(part, np.float64) for part in (first, second))
        if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
            raise DataError(f"{self.part_name}: needs two sets of vectors of one width, got {first.shape} and "
                            f"{second.shape}.")
        if min(len(first), len(second)) < 2:
            raise DataError(f"{self.part_name}: needs two images of each set at least, got {len(first)} and "
                            f"{len(second)}.")
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            raise DataError(f"{self.part_name}: some features are NaN or infinite. Look for broken images with "
                            "`headstart check`.")
        return self.of(first, second, rng)

    @abstractmethod
    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the distance of checked inputs, float64."""


DISTANCES: Catalog[Distance] = Catalog("distances", Distance)  # type: ignore[type-abstract]
