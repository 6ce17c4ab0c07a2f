"""Label shift: in which proportions the classes stand in a domain of which no label is known.

Classes may be rarer or more frequent than in the source while each looks as before; then the answers of a model, right
or wrong, tell the proportions, and the model can be told of them.

# N source images of validation, M target images, C classes
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.errors import DataError
from headstart.probabilities import checked

SUM_WEIGHT = 1e3
"""How much more than a proportion the sum of all counts for the solver, before they are divided by it."""
RIDGE = 0.3
"""The least error, or near it, in simulations of 4 to 1,000 classes with 5 to 100 images each."""
UNINFORMATIVE = 1e-6
"""Answers that differ between classes by less are all the same."""
SMALLEST = 1e-12
"""Chance that a class which can occur has at least, so that no image is impossible."""
ROUNDS = 5000
Shares = np.ndarray | Sequence[float]
OTHER = 0.3
"""Share of the images that would have to change class from which on the target may show other classes than the source
does, and not only look different. Of 23 pairs of domains with like shares that were looked at (docs/benchmarks.md) they
seemed to lie up to 0.27 apart, of others 0.34 to 0.65, once 0.23."""
TOLERANCE = 1e-8


def bbse(source_probabilities: np.ndarray, source_labels: np.ndarray, target_probabilities: np.ndarray, *,
         hard: bool) -> np.ndarray:
    """Return float64 [C], the proportions of the target's classes by black box shift estimation; they sum to 1.

    source_probabilities: [N, C] of images that the model did not learn from; source_labels: int [N], 0..C-1.
    target_probabilities: [M, C]. They need not be calibrated. hard: count the likeliest class, instead of all chances.
    What is answered on the target is a mixture of what is answered on each class of the source: the proportions q are
    those that explain it best, at least 0, in least squares with the ridge 0.3 (1 / N + 1 / M) sum of (q - p)^2 / p, p
    the source's. It vanishes with many images; classes that the model takes for each other keep the source's ratio.
    A class without a source image gets 0.
    Raises DataError where inputs do not fit, or the model answers the same whatever the class.
    Source: Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors", ICML 2018; the ridge:
    Azizzadenesheli et al., "Regularized Learning for Domain Adaptation under Label Shifts", ICLR 2019.
    """
    from scipy.optimize import nnls

    source, labels = _labelled(source_probabilities, source_labels)
    classes = source.shape[1]
    target = checked(target_probabilities, "label shift, target", width=classes)
    if hard:
        source, target = (np.eye(classes)[part.argmax(axis=1)] for part in (source, target))
    counts = np.bincount(labels, minlength=classes)
    shown = np.flatnonzero(counts)
    answered = np.zeros((classes, classes))
    np.add.at(answered, labels, source)
    answers = (answered[shown] / counts[shown, None]).T  # a column for each class
    if len(shown) > 1 and np.abs(answers - answers.mean(axis=1, keepdims=True)).max() < UNINFORMATIVE:
        raise DataError("label shift: the model answers the same whatever the class, so that its answers tell nothing "
                        "of the target's proportions. Train it further, or with several classes in validation.")
    prior = counts[shown] / len(labels)
    ridge = np.sqrt(RIDGE * (1 / len(source) + 1 / len(target)) / prior)
    left = np.vstack([answers, np.diag(ridge), np.full(len(shown), SUM_WEIGHT)])
    right = np.concatenate([target.mean(axis=0), ridge * prior, [SUM_WEIGHT]])
    found = np.zeros(classes)
    found[shown] = nnls(left, right)[0]
    return np.asarray(found / found.sum())


def em(source_prior: np.ndarray, target_probabilities: np.ndarray) -> np.ndarray:
    """Return float64 [C], the likeliest proportions of the target's classes, found by expectation maximisation.

    source_prior: [C], the proportions for which the probabilities [M, C] hold; these must be calibrated (temperature
    scaled on the source, at least): of a model that is less sure than it is right the shift comes out too large, of one
    that is too sure its mistakes are counted as they are.
    The likelihood has one peak, which each round comes closer to. A class that the source lacks gets 0.
    Source: Saerens et al., "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation
    2002; that it beats the rest once calibrated: Alexandari et al., ICML 2020.
    """
    prior = checked(np.asarray(source_prior)[None], "label shift, source prior")[0]
    ratios = _per_prior(checked(target_probabilities, "label shift, target", width=len(prior)), prior)
    found = prior
    for _ in range(ROUNDS):
        # The mean of the re-weighted probabilities, without an [M, C] table of them.
        renewed = found * (ratios.T @ (1 / (ratios @ found))) / len(ratios)
        moved = np.abs(renewed - found).max()
        found = renewed
        if moved < TOLERANCE:
            break
    return np.asarray(found / found.sum())


def moved(one: Shares, two: Shares) -> float:
    """Return the share of the images that would have to change class between two proportions [C]: total variation."""
    return float(np.abs(np.subtract(one, two)).sum() / 2)


def corrected(probabilities: np.ndarray, source_prior: np.ndarray, target_prior: np.ndarray) -> np.ndarray:
    """Return float64 [M, C], probabilities that held for the source's proportions, as they are for the target's.

    probabilities: [M, C], calibrated; priors: [C]. By Bayes each is multiplied by target / source and divided by the
    sum of its row. Raises DataError where the target has a class that the source lacks.
    """
    source = checked(np.asarray(source_prior)[None], "label shift, source prior")[0]
    target = checked(np.asarray(target_prior)[None], "label shift, target prior", width=len(source))[0]
    if (target[source == 0] > 0).any():
        raise DataError("label shift: the target has classes that the source lacks; nothing is known of how the model "
                        "answers on them. Leave them out, or label some images of them.")
    weighed = _per_prior(checked(probabilities, "label shift, probabilities", width=len(source)), source) * target
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def _per_prior(probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return float64 [M, C], probability by prior; 0 for a class that the source lacks, never 0 for another."""
    return np.divide(np.maximum(probabilities, SMALLEST), prior, out=np.zeros_like(probabilities), where=prior > 0)


def _labelled(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    source, labels = checked(probabilities, "label shift, source"), np.asarray(labels)
    if labels.shape != (len(source),) or labels.min() < 0 or labels.max() >= source.shape[1]:
        raise DataError(f"label shift: needs one label for each of the {len(source)} source images, each in "
                        f"0..{source.shape[1] - 1}.")
    return source, labels.astype(np.int64)
