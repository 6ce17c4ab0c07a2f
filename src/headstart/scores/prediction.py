"""Prediction: what other classes, or clusters, expect the label of each image to be."""

from __future__ import annotations

import numpy as np


def log_predictions(theta: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return float64 [N]: log sum over z of P(y | z) theta_z. theta: float64 [N, Z]; labels: int [N], 0..C-1."""
    joint = np.zeros((int(labels.max()) + 1, theta.shape[1]))
    np.add.at(joint, labels, theta)
    total = joint.sum(axis=0)
    # A source class that no image was given any share of says nothing: its column would be 0 / 0.
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    likely = np.einsum("nz,nz->n", given[labels], theta)
    return np.asarray(np.log(np.maximum(likely, np.finfo(float).tiny)))
