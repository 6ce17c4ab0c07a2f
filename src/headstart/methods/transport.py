"""Transport: carry each source image to where the target lies, by optimal transport. The only door to POT."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from pydantic import Field

from headstart.data.dataset import Splits
from headstart.domains.feature_space import Domains, Examples, FeatureSpace
from headstart.errors import ConfigError, ResourceError
from headstart.model import Model
from headstart.neighbours import centre, unit

# N source images, M target images, D features

MOST = 20_000_000
"""Pairs of images whose cost fits into memory (160 MB)."""


class Transport(FeatureSpace):
    """Unbalanced optimal transport; a source image goes to the mean of the target images that it is sent to.

    The cost is the squared distance of the centred features of unit length, over its mean, plus `answers` times the
    chance that the model gives the target image another class; then over its mean again. The plan need not carry all
    of either domain: classes may be rarer there.
    Sources: Courty et al., "Optimal Transport for Domain Adaptation", TPAMI 2017 (barycentric mapping); Courty et al.,
    "Joint Distribution Optimal Transportation", NeurIPS 2017 (the answers in the cost); Fatras et al., "Unbalanced
    Minibatch Optimal Transport", ICML 2021; solver: Chizat et al., Mathematics of Computation 2018, from POT.
    """

    from_answers: ClassVar[bool] = True

    entropy: float = Field(0.02, gt=0, le=100)
    """Penalty on plans that are sure of themselves, against a mean cost of 1: smaller ones send each image to fewer."""
    marginals: float = Field(0.1, gt=0, le=1e6)
    """Penalty on leaving images out: a high one carries all of both domains, as if the classes stood in the same
    proportions."""
    answers: float = Field(1.0, ge=0, le=1e6)
    """Weight of the model's answers beside the distance."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where the pairs of images would not fit into memory; ResourceError without POT."""
        _library()
        pairs = len(splits.train) * len(splits.target or ())
        if pairs > MOST:
            raise ConfigError(f"transport: {pairs:,} pairs of a source and a target image are more than the "
                              f"{MOST:,} that it can hold. Take coral or prototypes, or fewer images.")

    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return the source's images at their new places."""
        heavy = domains.weights > 0
        source, labels, weights = (part[heavy] for part in (domains.source, domains.labels, domains.weights))
        cost = 2 - 2 * unit(source, centre(source)) @ unit(domains.target, centre(domains.target)).T
        cost /= cost.mean() or 1.0
        cost += self.answers * (1 - domains.probabilities[:, labels].T)
        cost /= cost.mean() or 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the last digit still moves after the last round
            plan = _library().unbalanced.sinkhorn_unbalanced(
                weights / weights.sum(), np.full(len(domains.target), 1 / len(domains.target)), cost, self.entropy,
                self.marginals, method="sinkhorn_stabilized", numItermax=1000, stopThr=1e-7)
        carried = plan.sum(axis=1)
        kept = carried > 1e-12 * carried.max()
        return Examples(plan[kept] @ domains.target / carried[kept, None], labels[kept], weights[kept])


def _library():  # type: ignore[no-untyped-def]  # POT has no types
    try:
        import ot
    except ImportError:
        raise ResourceError("transport: needs POT. Install it with `pip install headstart[domains]`.") from None
    return ot
