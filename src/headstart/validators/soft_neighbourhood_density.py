"""Soft neighbourhood density: do images of the target have many others that are answered as they are?"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.errors import DataError
from headstart.probabilities import entropies, softened
from headstart.validators.validator import Evidence, Validator

# M target images, C classes

BLOCK = 512
"""Images whose similarities to all others are held at a time."""


class SoftNeighbourhoodDensity(Validator):
    """Mean entropy of each target image's distribution over the others, by their similarity; 0 to log(M - 1).

    Similarity is the cosine of two images' probabilities; its softmax at a low temperature is the distribution. A model
    that parts the target into dense clusters has many equally near neighbours, and so a high entropy. It is highest
    for a model that answers the same everywhere: look at `diversity` too.
    Source: Saito et al., "Tune it the Right Way: Unsupervised Validation of Domain Adaptation via Soft Neighborhood
    Density", ICCV 2021.
    """

    temperature: float = Field(0.05, gt=0)
    most: int = Field(2000, ge=2)
    """Images that are compared, evenly over their order: all pairs cost the square of it."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError for fewer than two images, or where a logit is not finite."""
        chances = softened(evidence.target_logits, self.part_name)
        if len(chances) < 2:
            raise DataError(f"{self.part_name}: needs two images of the target at least. Take another validator.")
        if len(chances) > self.most:
            chances = chances[np.linspace(0, len(chances) - 1, self.most).astype(np.int64)]
        unit = chances / np.linalg.norm(chances, axis=1, keepdims=True)
        found = [self._entropies(unit, start) for start in range(0, len(unit), BLOCK)]
        return float(np.concatenate(found).mean())

    def _entropies(self, unit: np.ndarray, start: int) -> np.ndarray:
        """Return float64 [BLOCK], the entropies of the rows from `start` on."""
        near = unit[start:start + BLOCK] @ unit.T / self.temperature
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf  # an image is no neighbour of itself
        weights = np.exp(near - near.max(axis=1, keepdims=True))
        return entropies(weights / weights.sum(axis=1, keepdims=True))
