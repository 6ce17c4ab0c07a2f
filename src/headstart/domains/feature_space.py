"""FeatureSpace: methods that adapt to another domain on cached features, in seconds: a new linear head, no training."""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from headstart.data.dataset import Splits
from headstart.domains.target_method import TargetMethod
from headstart.events import Finished, Note, Started
from headstart.held_out import log_losses
from headstart.logistic import PENALTIES, LinearFit, fit_path, likeliest
from headstart.methods.method import Context
from headstart.model import Model
from headstart.seeds import generator

# N source images, M target images, K examples, D features, C classes

HELD_OUT = 0.2
FALLBACK = 0.01
"""Penalty where there are too few examples to choose by."""


@dataclass(frozen=True)
class Domains:
    """Two domains in the features of one backbone. There is no place for a label of the target, on purpose."""

    source: np.ndarray
    """float64 [N, D]."""
    labels: np.ndarray
    """int64 [N] of the source."""
    weights: np.ndarray
    """float64 [N] of the source."""
    target: np.ndarray
    """float64 [M, D]."""
    probabilities: np.ndarray
    """float64 [M, C]: what the model says of the target before it is adapted."""

    @property
    def classes(self) -> int:
        """C."""
        return self.probabilities.shape[1]


@dataclass(frozen=True)
class Examples:
    """What a classifier for the target is fitted to; its features lie where the target's lie."""

    features: np.ndarray
    """float64 [K, D]."""
    labels: np.ndarray
    """int64 [K]."""
    weights: np.ndarray
    """float64 [K], 0 or more."""


class FeatureSpace(TargetMethod):
    """Fits the linear head anew, for the target's features; the backbone stays as it is.

    The penalty is the one that fits a held-out fifth of what the head is fitted to.
    """

    trains_backbone: ClassVar[bool] = False

    @abstractmethod
    def examples(self, domains: Domains, rng: np.random.Generator) -> Examples:
        """Return what the new head is fitted to."""

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with a head for the target, or `model` where that would know one class.

        Raises DataError where a feature is not finite.
        """
        assert splits.target is not None, "opening refuses a job without"
        began = time.monotonic()
        source, target = (context.vectors(model, part).astype(np.float64) for part in (splits.train, splits.target))
        context.listen(Started(self.part_name))
        domains = Domains(source, splits.train.labels(), splits.train.weights().astype(np.float64), target,
                          model.answers.probabilities(model.logits_of(target)))
        rng = generator(context.seed, self.part_name)
        found = self.examples(domains, rng)
        if len(np.unique(found.labels[found.weights > 0])) < 2:
            context.listen(Note(f"{self.part_name}: would give all images of the target one class, which leaves "
                                "nothing to tell apart. The model is left as it was.", "warning"))
            return model
        l2 = _penalty(found, domains.classes, rng)
        (fit,) = fit_path(found.features, found.labels, classes=domains.classes, weights=found.weights, penalties=(l2,))
        context.listen(Finished(self.part_name, time.monotonic() - began, f"l2 {l2:.2g}"))
        return dataclasses.replace(model, head=fit.head(), temperature=1.0)


def _penalty(examples: Examples, classes: int, rng: np.random.Generator) -> float:
    """Return the penalty with which a classifier of most of the examples is likeliest on the others."""
    order = rng.permutation(len(examples.labels))
    held = np.zeros(len(order), bool)
    held[order[:max(1, round(HELD_OUT * len(order)))]] = True
    labels = examples.labels
    if len(np.unique(labels[~held])) < 2 or not examples.weights[held].any() or not examples.weights[~held].any():
        return FALLBACK
    path = fit_path(examples.features[~held], labels[~held], classes=classes, weights=examples.weights[~held],
                    penalties=PENALTIES)

    def loss(fit: LinearFit) -> float:
        losses = log_losses(fit.logits(examples.features[held]), labels[held])
        return float(np.average(losses, weights=examples.weights[held]))

    return likeliest(path, loss).l2
