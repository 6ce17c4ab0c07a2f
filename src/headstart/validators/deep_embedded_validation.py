"""Deep embedded validation: the source's risk, each image weighted by how much it looks like one of the target."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from headstart.errors import DataError
from headstart.held_out import log_losses
from headstart.logistic import LinearFit, fit_path, likeliest
from headstart.probabilities import softened
from headstart.validators.validator import Evidence, Validator

# M target images, N source images of validation, T of train, D features, C classes

PENALTIES = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Of the classifier that tells the domains apart, for features of unit scale."""
FOLD = 5
"""Every fifth image chooses the penalty, where there are as many."""
MOST_ODDS = 20.0
"""Logarithm of the odds beyond which a weight grows no further."""


class DeepEmbeddedValidation(Validator):
    """Minus the mean of w l + a w - a over the source's validation images; l the loss, w = p(target) / p(source).

    The weights are the odds of a logistic regression that tells the source's train images from the target's by their
    features, both counted as equally many. On average they are 1, and a = -cov(w l, w) / var(w) takes away what their
    noise adds. At most 0 but for noise, which may lift it above.
    Where the domains hardly overlap a few images carry all the weight, and it says little.
    Source: You et al., "Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation", ICML 2019.
    """

    loss: Literal["cross_entropy", "error"] = "cross_entropy"
    """`error` counts 1 for an image whose likeliest class is wrong."""
    most: int = Field(2000, ge=10)
    """Images of each domain that the weights are learned from at most, evenly over their order."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a value is not finite, or a set has fewer than two images."""
        chances = softened(evidence.source_logits, self.part_name)
        sets = {"source validation": evidence.source_features, "train": evidence.train_features,
                "target": evidence.target_features}
        for name, features in sets.items():
            if len(features) < (1 if name == "source validation" else 2) or not np.isfinite(features).all():
                raise DataError(f"{self.part_name}: needs finite features of two images at least; those of {name} are "
                                f"not, or too few ({len(features)}). Take another validator, such as source_risk.")
        if self.loss == "error":
            losses = np.asarray(chances.argmax(axis=1) != evidence.source_labels, np.float64)
        else:
            losses = log_losses(np.asarray(evidence.source_logits, np.float64), evidence.source_labels)
        fit = _domains(*(_evenly(sets[name], self.most) for name in ("train", "target")))
        logits = fit.logits(np.asarray(evidence.source_features, np.float64))
        return -controlled(losses, np.exp(np.clip(logits[:, 1] - logits[:, 0], -MOST_ODDS, MOST_ODDS)))


def controlled(losses: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean weighted loss with the weights as control variate. losses, weights: float64 [N]."""
    weighted = weights * losses
    variance = float(weights.var())
    # Weights that are equal but for rounding control nothing.
    if variance <= 1e-12 * float(weights.mean())**2:
        return float(weighted.mean())
    factor = -float(((weighted - weighted.mean()) * (weights - weights.mean())).mean()) / variance
    return float(weighted.mean() + factor * weights.mean() - factor)


def _domains(train: np.ndarray, target: np.ndarray) -> LinearFit:
    """Return the classifier of domains, 0 for train and 1 for target, whose penalty held-out images chose."""
    points, labels = np.concatenate([train, target]), np.repeat([0, 1], [len(train), len(target)])
    position = np.concatenate([np.arange(len(part)) for part in (train, target)])
    left = position % FOLD == FOLD - 1
    if min(left[labels == 0].sum(), left[labels == 1].sum()) < 1:
        return next(fit_path(points, labels, classes=2, weights=_balanced(labels), penalties=PENALTIES))
    kept = labels[~left]
    path = fit_path(points[~left], kept, classes=2, weights=_balanced(kept), penalties=PENALTIES)
    return likeliest(path, lambda fit: float(np.average(log_losses(fit.logits(points[left]), labels[left]),
                                                        weights=_balanced(labels[left]))))


def _balanced(labels: np.ndarray) -> np.ndarray:
    """Return float64 [n]: weights with which both domains are equally many."""
    return np.asarray((1 / np.bincount(labels))[labels])


def _evenly(rows: np.ndarray, most: int) -> np.ndarray:
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return np.asarray(rows, np.float64)
