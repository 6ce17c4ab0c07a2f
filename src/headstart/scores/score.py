"""Score: the contract of an estimate, without training, of how well a backbone will do on a data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from headstart.catalog import Catalog
from headstart.errors import ConfigError, DataError
from headstart.part import Part

Groups = Sequence[str] | None
"""The group of each image, N long; None where they have none."""

# N images, D features, C classes, Z classes of the pretrained classifier


class Score(Part):
    """A number in float64, higher for better; its scale means something only beside other backbones' on equal data."""

    needs_source: ClassVar[bool] = False
    """Whether it reads the probabilities that the pretrained classifier gives."""
    does_labels: ClassVar[bool] = False
    """Whether `of` takes 0/1 [N, C] too; where not, multi-label is the mean of one-against-the-rest scores."""

    def __call__(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None = None,
                 groups: Groups = None) -> float:
        """Return the score.

        features: float [N, D], finite; a memory map is read in blocks.
        labels: int [N], any numbers; or 0/1 [N, C] for multi-label, of which columns without a difference are left out.
        source: float [N, Z], rows that sum to 1: the pretrained classifier's probabilities, where `needs_source`.
        groups: of each image (a patient, a series), for scores that ask about images from others: never from its own.
        Raises DataError where the images do not show two classes, or an input does not fit; ConfigError where the
        score needs the pretrained classifier and none is given.
        """
        source = self._checked(features, labels, source)
        if labels.ndim == 1:
            return float(self.of(features, np.unique(labels, return_inverse=True)[1], source, groups))
        columns = np.flatnonzero(labels.min(axis=0) != labels.max(axis=0))
        if self.does_labels:
            return float(self.of(features, labels[:, columns], source, groups))
        return float(np.mean([self.of(features, labels[:, c].astype(np.int64), source, groups) for c in columns]))

    @abstractmethod
    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the score of checked inputs; int labels are 0..C-1, each of them present."""

    def _checked(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None) -> np.ndarray | None:
        """Return `source` where the score reads it. Raises as `__call__` says."""
        if features.ndim != 2 or not features.shape[1] or labels.ndim not in (1, 2) or len(features) != len(labels):
            raise DataError(f"{self.part_name}: features must be [N, D] and labels N long; got {features.shape} and "
                            f"{labels.shape}.")
        if labels.ndim == 2 and not ((labels == 0) | (labels == 1)).all():
            raise DataError(f"{self.part_name}: labels [N, C] must be 0 or 1. Where an image has one class, give [N].")
        if not all(np.isfinite(block).all() for block in blocks(features)):
            raise DataError(f"{self.part_name}: some features are NaN or infinite. Look at these images, or take "
                            "another backbone.")
        varied = len(np.unique(labels)) > 1 if labels.ndim == 1 else bool((labels.min(0) != labels.max(0)).any())
        if not len(labels) or not varied:
            raise DataError(f"{self.part_name}: the images show a single class; there is nothing to tell apart.")
        if not self.needs_source:
            return None
        if source is None:
            raise ConfigError(f"{self.part_name} reads the answers of the pretrained classifier, and this backbone has "
                              "none. Take another score, such as logme.")
        if source.ndim != 2 or len(source) != len(labels) or not source.shape[1]:
            raise DataError(f"{self.part_name}: source must be [{len(labels)}, Z]; got {source.shape}.")
        if not all(_are_probabilities(block) for block in blocks(source)):
            raise DataError(f"{self.part_name}: source must be probabilities, each row with sum 1. Where these are "
                            "logits, take their softmax.")
        return source


class MeanScore(Score):
    """A score that is the mean of one number an image, so that it can be resampled without computing it again."""

    @abstractmethod
    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return float64 [N] of checked inputs, whose mean is the score; fewer where it reads `most` images only."""

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return the mean of the terms."""
        return float(self.terms(features, labels, source, groups).mean())

    def each(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None = None,
             groups: Groups = None) -> np.ndarray:
        """Return float64 [N], as `terms`, whose mean is the score; arguments and errors as in `__call__`."""
        source = self._checked(features, labels, source)
        if labels.ndim == 1:
            return self.terms(features, np.unique(labels, return_inverse=True)[1], source, groups)
        columns = np.flatnonzero(labels.min(axis=0) != labels.max(axis=0))
        if self.does_labels:
            return self.terms(features, labels[:, columns], source, groups)
        return np.asarray(np.mean([self.terms(features, labels[:, c].astype(np.int64), source, groups)
                                   for c in columns], axis=0))


BLOCK = 4096
"""Rows that are turned into float64 at a time."""


def blocks(features: np.ndarray) -> list[np.ndarray]:
    """Return views of at most BLOCK rows, one after the other."""
    return [features[start:start + BLOCK] for start in range(0, len(features), BLOCK)]


def evenly(labels: np.ndarray, most: int) -> np.ndarray:
    """Return int64 [min(N, most)] positions, rising: of each class its share, multi-label spread over the order."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable") if labels.ndim == 1 else np.arange(len(labels))
    return np.asarray(np.sort(order[np.linspace(0, len(labels) - 1, most).astype(np.int64)]))


def _are_probabilities(rows: np.ndarray) -> bool:
    sums = rows.sum(axis=1, dtype=np.float64)
    # Rows of float16 with a thousand classes miss 1 by some thousandths; NaN is in no range.
    return bool((rows >= 0).all() and (np.abs(sums - 1) < 0.01).all())


SCORES: Catalog[Score] = Catalog("scores", Score)  # type: ignore[type-abstract]
