"""Propagation: let the target's images hand their answers to those that look like them, and fit the head to that."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from headstart.domains.feature_space import Domains, Examples, FeatureSpace
from headstart.neighbours import QUERIES, centre, nearest

# M target images, D features, C classes, k neighbours

ROUNDS = 200
"""Steps of the iteration; it converges like spread^ROUNDS."""


class Propagation(FeatureSpace):
    """Label propagation on the graph of the target's nearest neighbours, from what the model says of each image.

    F = (1 - a) (I - a S)^-1 P with S the normalised graph, whose edges weigh max(0, cosine)^3, and P the model's
    probabilities. The head is fitted to the target's images under their new labels, each weighing as sure as it is.
    Source: Zhou et al., "Learning with Local and Global Consistency", NeurIPS 2003; edges as in Iscen et al., "Label
    Propagation for Deep Semi-supervised Learning", CVPR 2019.
    """

    from_answers: ClassVar[bool] = True

    neighbours: int = Field(10, ge=1, le=1000)
    """Images that each one is joined to, the likest ones."""
    spread: float = Field(0.95, gt=0, lt=1)
    """How much each image listens to its neighbours instead of to the model (a)."""

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the target's images under the labels that were handed on."""
        from scipy.sparse import csr_array

        rows, columns, weights = _graph(domains.target, min(self.neighbours, len(domains.target) - 1))
        graph = csr_array((weights, (rows, columns)), shape=(len(domains.target),) * 2)
        start = domains.probabilities
        found = start.copy()
        for _ in range(ROUNDS):
            found = self.spread * (graph @ found) + (1 - self.spread) * start
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-300)
        return Examples(domains.target, found.argmax(axis=1), found.max(axis=1))


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
