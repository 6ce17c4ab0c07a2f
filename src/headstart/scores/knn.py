"""kNN: how often the nearest other images, by the cosine of their features, name an image's class."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.scores.score import MeanScore, evenly

# N images, D features, C classes

ROWS, OTHERS = 256, 8192
"""Images whose neighbours are looked for at a time, and the images among which they are."""

from headstart.neighbours import QUERIES, centre, nearest
from headstart.scores.score import MeanScore

# N images, D features, C classes


class KNN(MeanScore):
    """Leave-one-out accuracy of the vote of the `k` nearest other images; in 0..1.

    Cosine of the centred features. Votes weigh exp(cosine / temperature), so that few votes tie.
    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
    """

    k: int = Field(5, ge=1)
    temperature: float = Field(0.07, gt=0)
    most: int = Field(5000, ge=10)
    """Images that are asked, evenly over the classes; their neighbours are looked for among all."""

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Return 1 for each image whose class wins the vote, else 0; a share where classes tie."""
        mean = features.mean(axis=0, dtype=np.float64)
        mean = centre(features)
        classes = int(labels.max()) + 1
        asked = evenly(labels, self.most)
        right = np.zeros(len(asked))
        for start in range(0, len(asked), QUERIES):
            rows = asked[start:start + QUERIES]
            near, places = nearest(features, features[rows], mean, min(self.k, len(labels) - 1), skip=rows)
            votes = np.zeros((len(rows), classes))
            # Relative to the nearest one: no exponential overflows.
            np.add.at(votes, (np.arange(len(rows))[:, None], labels[places]),
                      np.exp((near - near[:, :1]) / self.temperature))
            best = votes >= votes.max(axis=1, keepdims=True) * (1 - 1e-12)
            right[start:start + QUERIES] = best[np.arange(len(rows)), labels[rows]] / best.sum(axis=1)
        return right


def nearest(features: np.ndarray, rows: np.ndarray, mean: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [n, k] cosines, falling; int [n, k] positions) of the nearest others of `rows` among all N."""
    own, lines = _unit(features[rows], mean), np.arange(len(rows))
    found, places = np.full((len(rows), k), -np.inf), np.full((len(rows), k), len(features))
    for start in range(0, len(features), OTHERS):
        cosines = own @ _unit(features[start:start + OTHERS], mean).T
        # Rounded before they are compared: copies of one image tie, and the earlier one comes first.
        np.round(cosines, 12, out=cosines)
        inside = (rows >= start) & (rows < start + cosines.shape[1])
        cosines[lines[inside], rows[inside] - start] = -np.inf
        # Only what beats the worst so far can enter, and of that, where it is much, what is among the k best here.
        better = cosines > found[:, -1:]
        if np.count_nonzero(better) > 16 * k * len(rows):
            better &= cosines >= np.partition(cosines, -k, axis=1)[:, -k, None]
        line, column = np.nonzero(better)
        line_all = np.concatenate([np.repeat(lines, k), line])
        value = np.concatenate([found.ravel(), cosines[line, column]])
        place = np.concatenate([places.ravel(), column + start])
        order = np.lexsort((place, -value, line_all))
        firsts = np.searchsorted(line_all[order], lines)
        best = order[firsts[:, None] + np.arange(k)]
        found, places = value[best], place[best]
    return found, places


def _unit(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    shifted = rows.astype(np.float64) - mean
    lengths = np.linalg.norm(shifted, axis=1, keepdims=True)
    return np.divide(shifted, lengths, out=np.zeros_like(shifted), where=lengths > 0)
