"""MMD: maximum mean discrepancy: how far the means of the sets lie apart in the space of a Gaussian kernel."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.distances.distance import Distance, Measured

# n and m images that are used, D features, P permutations


class MMD(Distance):
    """Unbiased squared MMD: mean kernel within the first set and within the second, less twice that across.

    The kernel is exp(-d^2 / (2 s^2)), s the median distance of all pairs of the joined sets: changing the unit or
    rotating the features changes nothing. Not cut at 0: for samples of one population it is 0 on average.
    The p-value is of a permutation test, (1 + permutations with as large a value) / (1 + permutations).
    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, equation 3 and section 8.
    """

    most: int = Field(1000, ge=10)
    """Images of each set that are used at most, by chance: all pairs cost the square of it."""
    permutations: int = Field(499, ge=19)

    def of(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Measured:
        """Return the squared discrepancy, 2 at most, with its p-value."""
        sets = [part[rng.permutation(len(part))[:self.most]] for part in (first, second)]
        kernel = gaussian(np.concatenate(sets))
        member = np.repeat([1.0, 0.0], [len(part) for part in sets])
        shuffled = rng.permuted(np.tile(member, (self.permutations, 1)), axis=1)
        value, *others = _discrepancies(kernel, np.vstack([member, shuffled]))
        # Kernels lie in 0..1: what differs by the rounding of a sum is equal.
        as_large = int((np.array(others) >= value - 1e-12).sum())
        return Measured(float(value), p_value=(1 + as_large) / (1 + self.permutations))


def gaussian(points: np.ndarray) -> np.ndarray:
    """Return float64 [n, n]: the kernel of each two rows of float64 [n, D], with the median of their distances."""
    centred = points - points.mean(axis=0)
    norms = (centred**2).sum(axis=1)
    squares = norms[:, None] + norms - 2 * centred @ centred.T
    # What is left of equal rows by rounding must not become a scale.
    squares[squares < 1e-12 * norms.max()] = 0.0
    np.fill_diagonal(squares, 0.0)
    distances = np.sqrt(squares[np.triu_indices(len(points), k=1)])
    scale = float(np.median(distances))
    if scale == 0 and distances.any():  # most rows are copies: the others have a scale
        scale = float(np.median(distances[distances > 0]))
    return np.asarray(np.exp(-squares / (2 * scale**2)) if scale > 0 else np.ones_like(squares))


def _discrepancies(kernel: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return float64 [P] for members float64 [P, n + m], 1 for an image of the first set and 0 for one of the second.

    All sums follow from one product: those within the first set, and the sums of the rows.
    """
    count, total = int(members[0].sum()), len(kernel)
    other = total - count
    within = np.einsum("pn,pn->p", members @ kernel, members)
    touched = members @ kernel.sum(axis=1)
    across = touched - within
    rest = kernel.sum() - touched - across
    # An image beside itself has the kernel 1, and is left out.
    return np.asarray((within - count) / (count * (count - 1)) + (rest - other) / (other * (other - 1))
                      - 2 * across / (count * other))
