"""Imbalance: what rare classes weigh, how often they are drawn, and how rare they are.

# N samples, C classes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from headstart.data.dataset import Dataset
from headstart.errors import ConfigError, DataError

if TYPE_CHECKING:
    from headstart.training.plan import Plan

ClassWeights = Literal["none", "balanced", "effective"]
Sampling = Literal["natural", "balanced"]
BETA = 0.999
"""Of `effective`: a class gains from its first thousand images or so; more of the same add little."""


def train_weights(dataset: Dataset, class_weights: ClassWeights, *, sampling: Sampling = "natural") -> np.ndarray:
    """Return float32 [N] with mean 1: the samples' own weights, times that of their class.

    A class that holds n images (the sum of its samples' own weights, which are scaled to mean 1) weighs 1 / n if
    `balanced`, (1 - beta) / (1 - beta^n) if `effective`. With balanced `sampling` all weights are 1: the draw has
    taken the samples' own into account.
    Raises ConfigError for class weights of multi-label data, or beside balanced sampling; DataError where every
    sample has weight 0.
    Source: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 2.
    """
    refuse(dataset.task, class_weights=class_weights, sampling=sampling)
    weights = _own(dataset)
    if sampling == "balanced":
        return np.ones(len(dataset), np.float32)
    if class_weights != "none":
        labels = dataset.labels()
        counts = np.bincount(labels, weights, minlength=len(dataset.classes))[labels]
        # A class whose images all weigh 0 stays at 0, whatever it is multiplied by.
        counts = np.where(counts > 0, counts, 1.0)
        held = counts if class_weights == "balanced" else np.expm1(counts * np.log(BETA)) / (BETA - 1)
        weights = weights / held
    return np.asarray(weights / weights.mean(), np.float32)


def sampling_probabilities(dataset: Dataset, sampling: Sampling) -> np.ndarray | None:
    """Return float64 [N], the chance of each sample to be the next one drawn; None if `natural`: each once an epoch.

    `balanced` draws each class that has images equally often, and inside a class by the samples' own weights.
    Raises ConfigError for multi-label data; DataError where every sample has weight 0.
    """
    refuse(dataset.task, class_weights="none", sampling=sampling)
    if sampling == "natural":
        return None
    labels, weights = dataset.labels(), _own(dataset)
    counts = np.bincount(labels, weights, minlength=len(dataset.classes))
    shares = np.divide(weights, counts[labels], out=np.zeros(len(labels)), where=counts[labels] > 0)
    return np.asarray(shares / shares.sum())


def prior(dataset: Dataset) -> np.ndarray:
    """Return float32 [C]: the share of each class, as `Loss` wants it; the samples' own weights count.

    One class an image: shares that sum to 1, where a class without images counts as half an image. Multi-label: the
    share of the images with each label, half an image away from 0 and from 1.
    Raises DataError where every sample has weight 0.
    """
    weights, labels = _own(dataset), dataset.labels()
    if labels.ndim == 2:
        edge = 0.5 / len(labels)
        return np.asarray(np.clip(weights @ labels / len(labels), edge, 1 - edge), np.float32)
    counts = np.bincount(labels, weights, minlength=len(dataset.classes))
    counts = np.where(counts > 0, counts, 0.5)
    return np.asarray(counts / counts.sum(), np.float32)


def check_plan(plan: Plan, task: str) -> None:
    """Raise ConfigError where the plan's loss can't do the task, or one of its settings would have no effect on it."""
    plan.loss.check(task)
    refuse(task, class_weights=plan.class_weights, sampling=plan.sampling, uses_prior=plan.loss.uses_prior)


def refuse(task: str, *, class_weights: str, sampling: str, uses_prior: bool = False) -> None:
    """Raise ConfigError where a setting would have no effect, or would correct an imbalance a second time.

    uses_prior: whether the loss is corrected by the class shares, too.
    """
    given = {"class_weights": class_weights != "none", "sampling": sampling == "balanced", "loss": uses_prior}
    if task == "multilabel":
        for name, word in (("class_weights", class_weights), ("sampling", sampling)):
            if given[name]:
                raise ConfigError(f"{name} {word}: an image of a multilabel data set has no one class, so that this "
                                  "would have no effect. Rare labels gain from loss=focal or loss=logit_adjusted, or "
                                  "from thresholds=f1.")
        return
    twice = [name for name, on in given.items() if on]
    if len(twice) > 1:
        raise ConfigError(f"{' and '.join(twice)} both correct the same imbalance, together they overdo it. Keep one: "
                          "class_weights, sampling=balanced or loss=logit_adjusted.")


def _own(dataset: Dataset) -> np.ndarray:
    """Return float64 [N], the samples' own weights with mean 1."""
    weights = dataset.weights().astype(np.float64)
    if not weights.sum():
        raise DataError("every image of the train split has weight 0: there is nothing to learn from. Mend the "
                        'weights, or leave them out with --set reader.weight="".')
    return weights / weights.mean()
