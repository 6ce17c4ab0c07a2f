"""Linear probe: cross-validated logistic regression on the features."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from headstart.held_out import held_out
from headstart.scores.score import Groups, MeanScore, evenly

CELLS = 200_000
"""Images times classes at most: what each of the thousand or so steps of the solver touches."""
VALUES = 2**22
"""Images times features at most: each fold holds a copy in float64, all of them at once."""


class LinearProbe(MeanScore):
    """Mean over the images of what a probe that was fitted without them says of their true label.

    The penalty is chosen on the same folds: one number, the same in all of them.
    """

    does_labels: ClassVar[bool] = True

    measure: Literal["accuracy", "log_likelihood"] = "accuracy"
    """`accuracy` in 0..1; `log_likelihood`, at most 0, tells more finely how sure the probe was."""
    folds: int = Field(5, ge=2)
    most: int = Field(10_000, ge=100)
    """Images that are used at most, evenly over the classes; fewer of many classes or long features."""
    most_classes: int = Field(100, ge=2)
    """Classes or labels that are used at most, evenly spread: a fit with 1,000 of them takes minutes."""
    seed: int = 0

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return the score of each image that is used."""
        total = int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]
        kept = np.linspace(0, total - 1, min(total, self.most_classes)).astype(np.int64)
        among = np.flatnonzero(np.isin(labels, kept)) if labels.ndim == 1 else np.arange(len(labels))
        labels = np.searchsorted(kept, labels[among]) if labels.ndim == 1 else labels[:, kept]
        affordable = max(100, min(CELLS // len(kept), VALUES // features.shape[1]))
        rows = evenly(labels, min(self.most, affordable))
        features, labels = features[among[rows]], labels[rows]
        groups = None if groups is None else [groups[int(row)] for row in among[rows]]
        found = held_out(features, labels, classes=len(kept), folds=self.folds, seed=self.seed, groups=groups)
        return found.correct() if self.measure == "accuracy" else -found.losses()
