"""Label propagation: images of which no label is known hand their answers to those that look like them.

# M images, D features, C classes, k neighbours
"""

from __future__ import annotations

import numpy as np

from headstart.neighbours import QUERIES, centre, nearest

NEIGHBOURS = 10
"""Images that each one is joined to, the likest ones."""
SPREAD = 0.95
"""How much each image listens to its neighbours instead of to the model."""
ROUNDS = 200
"""Steps of the iteration; it converges like spread^ROUNDS."""


def handed_on(features: np.ndarray, probabilities: np.ndarray, *, neighbours: int = NEIGHBOURS,
              spread: float = SPREAD) -> np.ndarray:
    """Return float64 [M, C], rows that sum to 1: what the images say when they have listened to their neighbours.

    F = (1 - a) (I - a S)^-1 P with S the normalised graph of the nearest neighbours, whose edges weigh
    max(0, cosine)^3, P the probabilities float64 [M, C] and a the spread; features: float [M, D].
    Source: Zhou et al., "Learning with Local and Global Consistency", NeurIPS 2003; edges as in Iscen et al., "Label
    Propagation for Deep Semi-supervised Learning", CVPR 2019.
    """
    from scipy.sparse import csr_array

    rows, columns, weights = _graph(features, min(neighbours, len(features) - 1))
    graph = csr_array((weights, (rows, columns)), shape=(len(features),) * 2)
    found = probabilities.copy()
    for _ in range(ROUNDS):
        found = spread * (graph @ found) + (1 - spread) * probabilities
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300))


def _graph(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the edges of the symmetric graph: from, to, and D^(-1/2) W D^(-1/2)."""
    images = len(features)
    mean = centre(features)
    found = [nearest(features, features[start:start + QUERIES], mean, count + 1) for start in range(0, images, QUERIES)]
    cosines, places = (np.concatenate(part) for part in zip(*found, strict=True))
    rows = np.repeat(np.arange(images), count + 1)
    columns, edges = places.ravel(), np.maximum(cosines.ravel(), 0).astype(np.float64)**3
    others = rows != columns
    rows, columns, edges = rows[others], columns[others], edges[others]
    rows, columns, edges = np.concatenate([rows, columns]), np.concatenate([columns, rows]), np.tile(edges, 2)
    degree = np.maximum(np.bincount(rows, weights=edges, minlength=images), 1e-12)
    return rows, columns, edges / np.sqrt(degree[rows] * degree[columns])
