"""Laws: the families of curves by which an error falls with the number of images, and how they are fitted.

Sources: Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017 (power laws); Viering & Loog, "The
Shape of Learning Curves: a Review", TPAMI 2023 (the families, and that none of them fits everywhere).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# S sizes at which the error is known, T targets

LEAST = 3
"""Points by which a law is fitted to be asked for the next one: as many as the longest has parameters."""


@dataclass(frozen=True)
class Law:
    """An error as a function of the number of images and a few parameters."""

    name: str
    error: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(images / unit, parameters) -> error; it falls with the images."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    start: tuple[float, ...]


LAWS: Mapping[str, Law] = {law.name: law for law in (
    Law("power law with asymptote", lambda n, p: p[0] + p[1] * n ** -p[2], (0, 0, 0.05), (1, 2, 2), (0.02, 0.2, 0.5)),
    Law("power law", lambda n, p: p[0] * n ** -p[1], (0, 0), (2, 2), (0.2, 0.3)),
    Law("exponential with asymptote", lambda n, p: p[0] + p[1] * np.exp(-p[2] * n), (0, 0, 0.01), (1, 2, 20),
        (0.05, 0.3, 1.0)),
    Law("logarithm", lambda n, p: np.maximum(p[0] - p[1] * np.log(n), 0.0), (0, 0), (1, 1), (0.2, 0.05)),
)}


def fit(law: Law, sizes: np.ndarray, errors: np.ndarray, spread: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the law's error as a function of the number of images, fitted by weighted least squares.

    sizes: [S]; errors: [S], in 0..1; spread: [S], the standard error of each, above 0.
    """
    from scipy.optimize import least_squares

    unit = float(sizes[-1])  # numbers near 1 are easy on the solver
    n = sizes / unit

    def misfit(parameters: np.ndarray) -> np.ndarray:
        return np.asarray((law.error(n, parameters) - errors) / spread)

    found = least_squares(misfit, law.start, bounds=(law.low, law.high), x_scale=np.maximum(law.start, 0.05),
                          max_nfev=200)
    return lambda images: np.asarray(law.error(np.asarray(images, np.float64) / unit, found.x))


def weights(sizes: np.ndarray, errors: np.ndarray, spread: np.ndarray) -> dict[str, float]:
    """Return how far each law is to be believed, summing to 1: by how well it foretells the last known points.

    Each is fitted without the last point, and again without the last two, and asked for them, as long as LEAST points
    are left: fewer can't tell the laws apart. With three sizes none is asked, and the power law is believed.
    """
    losses: dict[str, list[float]] = {}
    for left in (1, 2):
        known = len(sizes) - left
        if known < LEAST:
            continue
        for name, law in LAWS.items():
            ahead = fit(law, sizes[:known], errors[:known], spread[:known])(sizes[known:])
            losses.setdefault(name, []).extend(((ahead - errors[known:]) / (spread[known:] + 0.01)) ** 2)
    if not losses:
        return {"power law": 1.0}
    scores = {name: float(np.exp(-np.mean(found) / 2)) + 1e-6 for name, found in losses.items()}
    total = sum(scores.values())
    return {name: score / total for name, score in scores.items()}
