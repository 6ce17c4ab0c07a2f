"""kNN: how often the nearest other images, by the cosine of their features, name an image's class."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.scores.score import MeanScore

# N images, D features, C classes

ROWS = 512
"""Images whose neighbours are looked for at a time."""


class KNN(MeanScore):
    """Leave-one-out accuracy of the vote of the `k` nearest other images; in 0..1.

    Cosine of the centred features. Votes weigh exp(cosine / temperature), so that few votes tie.
    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
    """

    k: int = Field(5, ge=1)
    temperature: float = Field(0.07, gt=0)
    most: int = Field(20_000, ge=10)
    """Images that are asked, evenly spread; their neighbours are looked for among all."""

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Return 1 for each image whose class wins the vote, else 0; a share where classes tie."""
        mean = features.mean(axis=0, dtype=np.float64).astype(features.dtype)
        classes = int(labels.max()) + 1
        asked = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), self.most)).astype(np.int64))
        right = np.zeros(len(asked))
        for start in range(0, len(asked), ROWS):
            rows = asked[start:start + ROWS]
            near, places = nearest(features, rows, mean, min(self.k, len(labels) - 1))
            votes = np.zeros((len(rows), classes))
            # Relative to the nearest one: no exponential overflows.
            np.add.at(votes, (np.arange(len(rows))[:, None], labels[places]),
                      np.exp((near - near[:, :1]) / self.temperature))
            best = votes >= votes.max(axis=1, keepdims=True) * (1 - 1e-12)
            right[start:start + ROWS] = best[np.arange(len(rows)), labels[rows]] / best.sum(axis=1)
        return right


def nearest(features: np.ndarray, rows: np.ndarray, mean: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [n, k] cosines, falling; int [n, k] positions) of the nearest others of `rows` among all N."""
    own = _unit(features[rows], mean)
    found, places = np.full((len(rows), 0), 0.0), np.zeros((len(rows), 0), np.int64)
    for start in range(0, len(features), 16_384):
        cosines = own @ _unit(features[start:start + 16_384], mean).T
        here = np.arange(start, start + cosines.shape[1])
        cosines[rows[:, None] == here] = -np.inf
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
