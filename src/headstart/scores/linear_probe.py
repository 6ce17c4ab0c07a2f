"""Linear probe: cross-validated logistic regression on the features."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from headstart.held_out import held_out
from headstart.scores.score import MeanScore


class LinearProbe(MeanScore):
    """Mean over the images of what a probe that was fitted without them says of their true label.

    The penalty is chosen on the same folds: one number, the same in all of them.
    """

    does_labels: ClassVar[bool] = True

    measure: Literal["accuracy", "log_likelihood"] = "accuracy"
    """`accuracy` in 0..1; `log_likelihood`, at most 0, tells more finely how sure the probe was."""
    folds: int = Field(5, ge=2)
    most: int = Field(10_000, ge=100)
    """Images that are used at most, evenly spread over the classes' order."""
    seed: int = 0

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Return the score of each image that is used."""
        if len(labels) > self.most:
            order = np.argsort(labels, kind="stable") if labels.ndim == 1 else np.arange(len(labels))
            rows = np.sort(order[np.linspace(0, len(labels) - 1, self.most).astype(np.int64)])
            features, labels = features[rows], labels[rows]
        classes = int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]
        found = held_out(features, labels, classes=classes, folds=self.folds, seed=self.seed)
        return found.correct() if self.measure == "accuracy" else -found.losses()
