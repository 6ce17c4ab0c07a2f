"""Probabilities: what is asked of rows that sum to 1 before they are believed, how sure and how varied they are, and
how far a share of some trials may be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from headstart.errors import DataError

# N images, C classes

ROUNDING = 0.01
"""By how much the sum of a row may miss 1: rows of float16 with a thousand classes do by some thousandths."""


def checked(rows: np.ndarray, what: str, *, width: int | None = None) -> np.ndarray:
    """Return float64 [N, C], rows that sum to 1, from numbers that do but for rounding.

    what: the words by which a message calls them. width: C, where it is known.
    Raises DataError where there are no rows, the width is another, or a row is no distribution.
    """
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or not rows.size or (width is not None and rows.shape[1] != width):
        wanted = "one row an image" if width is None else f"{width} classes each"
        raise DataError(f"{what}: needs probabilities of at least one image, {wanted}; got {rows.shape}.")
    # NaN is in no range, so that it is refused too.
    if not ((rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) < ROUNDING).all()):
        raise DataError(f"{what}: each row must be probabilities with sum 1. Where these are logits, take their "
                        "softmax.")
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def softened(logits: np.ndarray, what: str) -> np.ndarray:
    """Return float64 [N, C], the softmax of logits. Raises DataError where there are none, or one is not finite."""
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not logits.size:
        raise DataError(f"{what}: needs logits of at least one image, one row each; got {logits.shape}.")
    if not np.isfinite(logits).all():
        raise DataError(f"{what}: some logits are NaN or infinite: the model has diverged. Train with a lower rate.")
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def entropies(probabilities: np.ndarray) -> np.ndarray:
    """Return float64 [...], the entropy of each distribution along the last axis, in nats; 0 log 0 is 0."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(-(probabilities * logs).sum(axis=-1) + 0.0)


def nuclear_norm(probabilities: np.ndarray) -> float:
    """Return the sum of the singular values of float64 [N, C] by its largest possible, sqrt(min(N, C) N); in 0..1.

    1 for sure answers that are spread evenly over the classes; low where all answers are alike, or unsure.
    Source: Deng et al., "Confidence and Dispersity Speak: Characterising Prediction Matrix for Unsupervised Accuracy
    Estimation", ICML 2023, section 4.
    """
    count, classes = probabilities.shape
    # Of the triangular factor the values are the same, and there are no more rows than columns.
    tall = count > classes
    values = np.linalg.svd(np.linalg.qr(probabilities, mode="r") if tall else probabilities, compute_uv=False)
    return float(min(values.sum() / np.sqrt(min(count, classes) * count), 1.0))


def beyond_chance(observed: float, by_chance: float) -> float:
    """Return (a - e) / (1 - e), what of an agreement chance does not give; 0 where chance gives all. Both in 0..1.

    Source: Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.
    """
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0


def harmonic(agreements: Sequence[float]) -> float:
    """Return the harmonic mean of agreements beyond chance, each at most 1; the lowest, where one is 0 or below."""
    return min(agreements) if min(agreements) <= 0 else len(agreements) / sum(1 / value for value in agreements)


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return the 95% score interval of a proportion. share: 0..1. size: number of trials.

    Source: Wilson, JASA 1927; recommended for small n by Brown, Cai & DasGupta, Stat. Sci. 2001.
    """
    z2 = NormalDist().inv_cdf(0.975) ** 2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2) / (1 + z2 / size) * math.sqrt(share * (1 - share) / size + z2 / (4 * size**2))
    return max(0.0, centre - half), min(1.0, centre + half)
