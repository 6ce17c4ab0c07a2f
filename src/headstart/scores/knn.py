"""kNN: how often the nearest other images, by the cosine of their features, name an image's class."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.errors import DataError
from headstart.neighbours import QUERIES, centre, nearest
from headstart.scores.score import Groups, MeanScore, evenly

# N images, D features, C classes


class KNN(MeanScore):
    """Leave-one-out accuracy of the vote of the `k` nearest other images, or those of other groups; in 0..1.

    Cosine of the centred features. Votes weigh exp(cosine / temperature), so that few votes tie.
    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
    """

    k: int = Field(5, ge=1)
    temperature: float = Field(0.07, gt=0)
    most: int = Field(5000, ge=10)
    """Images that are asked, evenly over the classes; their neighbours are looked for among all."""

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return 1 for each image whose class wins the vote, else 0; a share where classes tie."""
        mean = centre(features)
        classes = int(labels.max()) + 1
        asked = evenly(labels, self.most)
        right = np.zeros(len(asked))
        group = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
        others = len(labels) - int(np.bincount(group).max())
        if not others:
            raise DataError("knn: all images are of one group, so that none is left to ask. Take another score.")
        for start in range(0, len(asked), QUERIES):
            rows = asked[start:start + QUERIES]
            near, places = nearest(features, features[rows], mean, min(self.k, others),
                                   apart=(group, group[rows]))
            votes = np.zeros((len(rows), classes))
            # Relative to the nearest one: no exponential overflows.
            np.add.at(votes, (np.arange(len(rows))[:, None], labels[places]),
                      np.exp((near - near[:, :1]) / self.temperature))
            best = votes >= votes.max(axis=1, keepdims=True) * (1 - 1e-12)
            right[start:start + QUERIES] = best[np.arange(len(rows)), labels[rows]] / best.sum(axis=1)
        return right
