"""Prediction: what other classes, or clusters, expect the label of each image to be."""

from __future__ import annotations

import numpy as np

from headstart.scores.score import blocks


def log_predictions(theta: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return float64 [N]: log sum over z of P(y | z) theta_z. theta: float [N, Z]; labels: int [N], 0..C-1."""
    joint = np.zeros((int(labels.max()) + 1, theta.shape[1]))
    for part, ids in zip(blocks(theta), blocks(labels), strict=True):
        np.add.at(joint, ids, part.astype(np.float64))
    total = joint.sum(axis=0)
    # A source class that no image was given any share of says nothing: its column would be 0 / 0.
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    likely = np.concatenate([np.einsum("nz,nz->n", given[ids], part.astype(np.float64))
                             for part, ids in zip(blocks(theta), blocks(labels), strict=True)])
    return np.asarray(np.log(np.clip(likely, np.finfo(float).tiny, 1.0)))  # rounding may lift a certainty above 1
