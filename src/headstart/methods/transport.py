"""Transport: carry each source image to where the target lies, by optimal transport. The only door to POT."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from headstart.data.dataset import Splits
from headstart.domains.feature_space import Domains, Examples, FeatureSpace
from headstart.errors import ConfigError, ResourceError
from headstart.model import Model

# N source images, M target images, D features

MOST = 20_000_000
"""Pairs of images whose cost fits into memory (160 MB)."""


class Transport(FeatureSpace):
    """Optimal transport with an entropic penalty; a source image goes to the mean of the target images it is sent to.

    The cost is the squared distance of the centred features of unit length, over its mean.
    Source: Courty et al., "Optimal Transport for Domain Adaptation", TPAMI 2017 (OT-IT, barycentric mapping); solver:
    Cuturi, "Sinkhorn Distances", NeurIPS 2013, in logarithms, from the library POT.
    """

    entropy: float = Field(0.05, gt=0, le=100)
    """Penalty on plans that are sure of themselves, against a mean cost of 1: smaller ones send each image to fewer."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where the pairs of images would not fit into memory; ResourceError without POT."""
        _library()
        pairs = len(splits.train) * len(splits.target or ())
        if pairs > MOST:
            raise ConfigError(f"transport: {pairs:,} pairs of a source and a target image are more than the "
                              f"{MOST:,} that it can hold. Take coral or prototypes, or fewer images.")

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the source's images at their new places."""
        cost = 2 - 2 * _directions(domains.source) @ _directions(domains.target).T
        cost /= cost.mean() or 1.0
        share = domains.weights / domains.weights.sum()
        plan = _library().sinkhorn(share, np.full(len(domains.target), 1 / len(domains.target)), cost, self.entropy,
                                   method="sinkhorn_log", numItermax=2000, stopThr=1e-7, warn=False)
        moved = plan @ domains.target / np.maximum(plan.sum(axis=1, keepdims=True), 1e-300)
        kept = share > 0
        return Examples(moved[kept], domains.labels[kept], domains.weights[kept])


def _directions(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def _library():  # type: ignore[no-untyped-def]  # POT has no types
    try:
        import ot
    except ImportError:
        raise ResourceError("transport: needs POT. Install it with `pip install headstart[domains]`.") from None
    return ot
