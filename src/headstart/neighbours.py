"""Neighbours: the nearest images by the cosine of their centred features; exact, in blocks of bounded memory."""

from __future__ import annotations

import numpy as np

# N images, D features, n queries, k neighbours

QUERIES = 512
"""Queries that a caller should ask for at a time."""
BLOCK = 16_384
"""Images that queries are compared with at a time."""


def centre(features: np.ndarray) -> np.ndarray:
    """Return the mean of features float [N, D], in their type: what the cosines are taken about."""
    return np.asarray(features.mean(axis=0, dtype=np.float64).astype(features.dtype))


def nearest(features: np.ndarray, queries: np.ndarray, mean: np.ndarray, k: int, *,
            skip: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [n, k] cosines, falling; int [n, k] positions) of the nearest of `features` to each query.

    features: float [N, D], N >= k. queries: float [n, D]. mean: float [D], taken off both. skip: int [n], a position
    that is no neighbour of its query, such as the query's own. Where cosines tie, the earlier position comes first.
    """
    own = _unit(queries, mean)
    found, places = np.full((len(queries), 0), 0.0), np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(features), BLOCK):
        cosines = own @ _unit(features[start:start + BLOCK], mean).T
        here = np.arange(start, start + cosines.shape[1])
        if skip is not None:
            cosines[skip[:, None] == here] = -np.inf
        found = np.concatenate([found, cosines], axis=1)
        places = np.concatenate([places, np.broadcast_to(here, cosines.shape)], axis=1)
        # Rounded before the order is made: copies of one image tie, and the earlier one comes first.
        order = np.argsort(-found.round(12), axis=1, kind="stable")[:, :k]
        found, places = (np.take_along_axis(part, order, axis=1) for part in (found, places))
    return found, places


def _unit(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    shifted = rows.astype(np.float64) - mean
    lengths = np.linalg.norm(shifted, axis=1, keepdims=True)
    return np.divide(shifted, lengths, out=np.zeros_like(shifted), where=lengths > 0)
