"""GBC: Gaussian Bhattacharyya coefficient: how little the classes overlap, each taken for a Gaussian."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from headstart.scores.score import Groups, Score, blocks
from headstart.scores.spectrum import class_means, principal

# C classes, D features


class GBC(Score):
    """- sum over i != j of exp(-D_B(i, j)), D_B the Bhattacharyya distance of two classes' Gaussians; at most 0.

    Source: Pándy et al., "Transferability Estimation using Bhattacharyya Class Separability", CVPR 2022.
    """

    covariance: Literal["diagonal", "spherical"] = "diagonal"
    components: int | None = Field(64, ge=1)
    """Principal components that are taken where there are more features; None takes the features as they are."""
    floor: float = Field(1e-6, gt=0)
    """Added to every variance, without which a class of one image would have none."""

    def of(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> float:
        """Return minus the sum over all ordered pairs of classes."""
        counts, means = class_means(features, labels)
        found = principal(features, self.components) if self.components and means.shape[1] > self.components else None
        if found is not None:
            if not len(found.values):
                return -float(len(means) * (len(means) - 1))  # constant features: every pair overlaps in full
            means = found.project(means)
        spread = np.zeros_like(means)
        for block, ids in zip(blocks(features), blocks(labels), strict=True):
            points = block.astype(np.float64) if found is None else found.project(block)
            np.add.at(spread, ids, (points - means[ids]) ** 2)
        variances = spread / counts[:, None] + self.floor
        if self.covariance == "spherical":
            variances = np.repeat(variances.mean(axis=1, keepdims=True), means.shape[1], axis=1)
        logs = np.log(variances).sum(axis=1)
        total = 0.0
        for i in range(len(means) - 1):
            shared = (variances[i] + variances[i + 1:]) / 2
            distance = ((means[i] - means[i + 1:]) ** 2 / shared).sum(axis=1) / 8
            distance += (np.log(shared).sum(axis=1) - (logs[i] + logs[i + 1:]) / 2) / 2
            total += 2 * float(np.exp(-distance).sum())
        return -total
