"""Spectrum: the singular values of a feature matrix, in memory that does not grow with the number of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.scores.score import blocks

# N images, D features, C classes, r directions in which the features vary

DIRECT = 2**22
"""Up to so many values the matrix itself is decomposed; beyond, its scatter, whose small values are less exact."""


@dataclass(frozen=True)
class Spectrum:
    """features - mean = U diag(values) directions', with r values that are not 0."""

    mean: np.ndarray
    """float64 [D]; zeros where the features were not centred."""
    values: np.ndarray
    """float64 [r], falling."""
    directions: np.ndarray
    """float64 [D, r], orthonormal columns."""

    def project(self, features: np.ndarray) -> np.ndarray:
        """Return float64 [n, r]: rows [n, D] along the directions."""
        return np.asarray((features.astype(np.float64) - self.mean) @ self.directions)


def spectrum(features: np.ndarray, *, centred: bool) -> Spectrum:
    """Return the spectrum of float [N, D]. Directions whose values are rounding noise are left out."""
    count, width = features.shape
    mean = features.mean(axis=0, dtype=np.float64) if centred else np.zeros(width)
    if count <= width or features.size <= DIRECT:
        _, values, rows = np.linalg.svd(features.astype(np.float64) - mean, full_matrices=False)
        directions, noise = rows.T, np.finfo(float).eps * max(count, width)
    else:
        squares, directions = np.linalg.eigh(scatter(features, mean))
        values, directions = np.sqrt(np.maximum(squares[::-1], 0)), directions[:, ::-1]
        noise = np.sqrt(np.finfo(float).eps * width)
    # What differs from the mean only by the rounding of the sum is constant.
    scale = max(float(values[0]), float(np.abs(mean).max(initial=0)) * 1e-8 * np.sqrt(count)) if len(values) else 0.0
    real = values > noise * scale
    if centred and len(values) and values[0] < scale:
        real[:] = False
    return Spectrum(mean, values[real], directions[:, real])


def scatter(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return float64 [D, D]: the sum over the rows of (row - mean)(row - mean)'."""
    total = np.zeros((features.shape[1], features.shape[1]))
    for block in blocks(features):
        shifted = block.astype(np.float64) - mean
        total += shifted.T @ shifted
    return total


def class_means(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [C] counts, float64 [C, D] means) of classes 0..C-1, each of them present."""
    classes = int(labels.max()) + 1
    counts, sums = np.zeros(classes), np.zeros((classes, features.shape[1]))
    for block, ids in zip(blocks(features), blocks(labels), strict=True):
        counts += np.bincount(ids, minlength=classes)
        np.add.at(sums, ids, block.astype(np.float64))
    return counts, sums / counts[:, None]


def principal(features: np.ndarray, width: int) -> Spectrum:
    """Return the centred spectrum with at most `width` directions, those of the largest variance."""
    found = spectrum(features, centred=True)
    return Spectrum(found.mean, found.values[:width], found.directions[:, :width])


def coordinates(features: np.ndarray, width: int) -> np.ndarray:
    """Return float64 [N, k], k <= width: the features along their directions of largest variance.

    A column of zeros where nothing varies.
    """
    found = principal(features, width)
    if not len(found.values):
        return np.zeros((len(features), 1))
    return np.concatenate([found.project(block) for block in blocks(features)])
