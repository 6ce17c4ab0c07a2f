"""Neighbours: the nearest images by the cosine of their centred features; exact, in blocks of bounded memory."""

from __future__ import annotations

import numpy as np

# N images, D features, n queries, k neighbours

QUERIES = 256
"""Queries that a caller should ask for at a time."""
BLOCK = 8192
"""Images that queries are compared with at a time."""


def centre(features: np.ndarray) -> np.ndarray:
    """Return float64 [D], the mean of features float [N, D]: what the cosines are taken about."""
    return np.asarray(features.mean(axis=0, dtype=np.float64))


def nearest(features: np.ndarray, queries: np.ndarray, mean: np.ndarray, k: int, *,
            apart: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [n, k] cosines, falling; int [n, k] positions) of the nearest of `features` to each query.

    features: float [N, D], N >= k. queries: float [n, D]. mean: float [D], taken off both. apart: int [N] and int [n],
    numbers of the images and of the queries: where they are equal, the image is no neighbour; at least k others must be
    left. Where cosines tie, the earlier position comes first.
    """
    own, lines = unit(queries, mean), np.arange(len(queries))
    found, places = np.full((len(queries), k), -np.inf), np.full((len(queries), k), len(features))
    for start in range(0, len(features), BLOCK):
        cosines = own @ unit(features[start:start + BLOCK], mean).T
        # Rounded before they are compared: copies of one image tie, and the earlier one comes first.
        np.round(cosines, 12, out=cosines)
        if apart is not None:
            cosines[apart[1][:, None] == apart[0][start:start + BLOCK]] = -np.inf
        # Only what beats the worst so far can enter, and of that, where it is much, what is among the k best here.
        better = cosines > found[:, -1:]
        if np.count_nonzero(better) > 16 * k * len(queries):
            better &= cosines >= np.partition(cosines, -k, axis=1)[:, -k, None]
        line, column = np.nonzero(better)
        line_all = np.concatenate([np.repeat(lines, k), line])
        value = np.concatenate([found.ravel(), cosines[line, column]])
        place = np.concatenate([places.ravel(), column + start])
        order = np.lexsort((place, -value, line_all))
        best = order[np.searchsorted(line_all[order], lines)[:, None] + np.arange(k)]
        found, places = value[best], place[best]
    return found, places


def unit(rows: np.ndarray, mean: np.ndarray | float = 0.0) -> np.ndarray:
    """Return float64 [n, D], the rows less `mean`, each of length 1; of a row that has no length, zeros."""
    shifted = rows.astype(np.float64) - mean
    lengths = np.linalg.norm(shifted, axis=1, keepdims=True)
    return np.divide(shifted, lengths, out=np.zeros_like(shifted), where=lengths > 0)
