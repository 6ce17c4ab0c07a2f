"""Expected accuracy: how often a model will be right in a domain of which no label is known, and how far to believe it.

# N source images of validation, M target images, C classes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.errors import DataError
from headstart.probabilities import checked, entropies, nuclear_norm

__all__ = ["ExpectedAccuracy", "average_thresholded_confidence", "difference_of_confidences", "expected_accuracy",
           "nuclear_norm"]

Sureness = Literal["confidence", "entropy"]
Trust = Literal["good", "fair", "poor"]
AGREE, DISAGREE = 0.05, 0.15
"""How far the three estimates may lie apart: up to the first it is good, beyond the second poor."""
KEPT, LOST = 0.9, 0.7
"""The target's nuclear norm by the source's, or the way back: from the first on it is good, below the second poor."""
RESAMPLES = 500
SHARES = np.array([0.25, 0.25, 0.5])
"""Of the three estimates in the headline: both thresholds err alike."""


@dataclass(frozen=True)
class ExpectedAccuracy:
    """What is expected of a model on the target, in 0..1."""

    accuracy: float
    """The mean of two ideas, of both thresholds and of the difference, times the way back."""
    low: float
    """Lower end of the 95% interval: what other images of the same two domains would have given. It knows nothing of
    what makes all the estimates err."""
    high: float
    atc_confidence: float
    atc_entropy: float
    difference_of_confidences: float
    nuclear_norm: float
    """Of the target's probabilities, on as many images as there are of both."""
    source_nuclear_norm: float
    source_accuracy: float
    way_back: float
    """As `round_trip.way_back` says; 1 where it was not asked."""
    weighted_way_back: float | None
    """The same with the source weighed as answered, which counts where the target seems to show other shares of the
    classes; else None."""
    trust: Trust
    """As `trusted` says."""


def expected_accuracy(source_probabilities: np.ndarray, source_labels: np.ndarray, target_probabilities: np.ndarray, *,
                      rng: np.random.Generator, way_back: float = 1.0,
                      weighted_way_back: float | None = None) -> ExpectedAccuracy:
    """Return all estimates, from softmax probabilities [N, C] with labels int [N], and [M, C].

    The source images must be held out from training. The interval is from the percentiles of 500 bootstraps over the
    images of both sets, the way back being held.
    way_back: what `round_trip.way_back` says of the answers on the target: how sure a model is says nothing of whether
    it means the same classes there. weighted_way_back: what is taken in its place where the target seems to show other
    shares of the classes, or lacks some; trust goes by the plain one all the same.
    Raises DataError where the inputs do not fit.
    """
    source, right, target = _inputs(source_probabilities, source_labels, target_probabilities)
    sure = [(_sureness(source, kind), _sureness(target, kind)) for kind in ("confidence", "entropy")]

    def estimates(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        (confident, confident_there), *_ = sure
        return np.array([*(_thresholded(here[rows], right[rows], there[others]) for here, there in sure),
                         _difference(confident[rows], right[rows], confident_there[others])])

    found = estimates(np.arange(len(source)), np.arange(len(target)))
    drawn = [estimates(rng.integers(len(source), size=len(source)), rng.integers(len(target), size=len(target)))
             for _ in range(RESAMPLES)]
    kept = way_back if weighted_way_back is None else weighted_way_back
    low, high = np.percentile(np.array(drawn) @ SHARES * kept, [2.5, 97.5])
    # The norm depends on the number of images: both are of equally many.
    few = min(len(source), len(target))
    norms = [nuclear_norm(part[np.linspace(0, len(part) - 1, few).astype(np.int64)]) for part in (target, source)]
    return ExpectedAccuracy(float(found @ SHARES * kept), float(low), float(high), float(found[0]), float(found[1]),
                            float(found[2]), norms[0], norms[1], float(right.mean()), way_back, weighted_way_back,
                            trusted(float(np.ptp(found)), min(norms[0] / norms[1], way_back)))


def trusted(apart: float, kept: float) -> Trust:
    """Return how far to believe an estimate.

    apart: the largest of the three estimates less the smallest. kept: the nuclear norm on the target by that on the
    source, which falls where the model crowds its answers on few classes, or hesitates; or the way back, if lower.
    `poor` where the estimates lie more than 0.15 apart or less than 0.7 is kept; `good` where they lie at most 0.05
    apart and at least 0.9 is kept; `fair` between.
    """
    if apart > DISAGREE or kept < LOST:
        return "poor"
    return "good" if apart <= AGREE and kept >= KEPT else "fair"


def average_thresholded_confidence(source_probabilities: np.ndarray, source_labels: np.ndarray,
                                   target_probabilities: np.ndarray, *, score: Sureness = "confidence") -> float:
    """Return the share of target images that the model is surer of than a threshold, in 0..1.

    The threshold is where as many source images lie above as the model has right. score: sure by the largest
    probability, or by the entropy of all. Arguments and errors as for `expected_accuracy`.
    Source: Garg et al., "Leveraging Unlabeled Data to Predict Out-of-Distribution Performance", ICLR 2022.
    """
    source, right, target = _inputs(source_probabilities, source_labels, target_probabilities)
    return _thresholded(_sureness(source, score), right, _sureness(target, score))


def difference_of_confidences(source_probabilities: np.ndarray, source_labels: np.ndarray,
                              target_probabilities: np.ndarray) -> float:
    """Return the source's accuracy plus the mean confidence on the target less that on the source, cut at 0 and 1.

    Arguments and errors as for `expected_accuracy`.
    Source: Guillory et al., "Predicting with Confidence on Unseen Distributions", ICCV 2021.
    """
    source, right, target = _inputs(source_probabilities, source_labels, target_probabilities)
    return _difference(_sureness(source, "confidence"), right, _sureness(target, "confidence"))


def _inputs(source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (probabilities [N, C], 1 where the likeliest class is right [N], probabilities [M, C]) in float64."""
    source = checked(source, "expected accuracy, source")
    if np.shape(labels) != (len(source),):
        raise DataError(f"expected accuracy: needs one label for each of the {len(source)} source images, got "
                        f"{np.shape(labels)}.")
    right = np.asarray(source.argmax(axis=1) == labels, np.float64)
    return source, right, checked(target, "expected accuracy, target", width=source.shape[1])


def _sureness(probabilities: np.ndarray, score: str) -> np.ndarray:
    return probabilities.max(axis=1) if score == "confidence" else -entropies(probabilities)


def _thresholded(source: np.ndarray, right: np.ndarray, target: np.ndarray) -> float:
    """Return the share of the target above the threshold at which the source's accuracy lies above.

    Of values that are equal to the threshold the same part counts as on the source: a model that is sure of everything
    has many of them.
    """
    correct = int(right.sum())
    if not correct:
        return 0.0
    threshold = np.partition(source, -correct)[-correct]
    part = (correct - (source > threshold).sum()) / (source == threshold).sum()
    return float((target > threshold).mean() + part * (target == threshold).mean())


def _difference(source: np.ndarray, right: np.ndarray, target: np.ndarray) -> float:
    return float(np.clip(right.mean() + target.mean() - source.mean(), 0, 1))
