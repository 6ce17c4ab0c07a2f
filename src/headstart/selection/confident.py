"""Confident learning: which labels the held-out probabilities speak against; the one door to cleanlab.

Source: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

# N images, C classes


@dataclass(frozen=True)
class Doubts:
    """What the probabilities say of the labels; for multi-label of each label on its own."""

    quality: np.ndarray
    """float64 [N], or [N, C] for multi-label: 0 where the label is surely wrong, 1 where it is surely right."""
    issues: np.ndarray
    """bool [N] or [N, C]: labels that are likely wrong."""
    joint: np.ndarray
    """float64 [C, C] or [C, 2, 2]: estimated images by given label (rows) and true label; it sums to N."""


def doubt(labels: np.ndarray, probabilities: np.ndarray) -> Doubts:
    """Return the doubts about int64 [N] or 0/1 [N, C] labels, from held-out probabilities [N, C].

    Several labels: each is judged on its own, against its absence. A label that all images or none have is not doubted.
    """
    if labels.ndim == 1:
        return _of_classes(labels, probabilities)
    each = [_of_classes(labels[:, c].astype(np.int64), np.stack([1 - probabilities[:, c], probabilities[:, c]], axis=1))
            for c in range(labels.shape[1])]
    return Doubts(np.stack([found.quality for found in each], axis=1),
                  np.stack([found.issues for found in each], axis=1), np.stack([found.joint for found in each]))


def _of_classes(labels: np.ndarray, probabilities: np.ndarray) -> Doubts:
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    # Errors at random show best in the probability of the label, errors between twins in its margin over the best other
    # class: their sum p + (p - q), brought to 0..1, finds both (docs/benchmarks.md).
    own = get_label_quality_scores(labels, probabilities, method="self_confidence")
    margin = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    quality = (own + 2 * margin) / 3
    if len(np.unique(labels)) < 2:
        joint = np.diag(np.bincount(labels, minlength=probabilities.shape[1]).astype(np.float64))
        return Doubts(quality, np.zeros(len(labels), bool), joint)
    joint = compute_confident_joint(labels, probabilities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with few images or none is no mistake here
        # One process: the work takes milliseconds, and a fork of a process with threads may hang.
        issues = find_label_issues(labels, probabilities, confident_joint=joint, n_jobs=1)
    return Doubts(np.asarray(quality, np.float64), np.asarray(issues, bool), np.asarray(joint, np.float64))
