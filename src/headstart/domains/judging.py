"""Judging: what validators see and say of a classifier on the target, and what its answers there are worth."""

from __future__ import annotations

import dataclasses

import numpy as np

from headstart.data.dataset import Dataset, Splits
from headstart.errors import DataError
from headstart.expected_accuracy import average_thresholded_confidence, difference_of_confidences
from headstart.features.engine import extract
from headstart.methods.method import Context
from headstart.model import Model
from headstart.probabilities import softened
from headstart.round_trip import way_back
from headstart.validators.validator import VALIDATORS, Evidence

# M images, D features

MOST = 2000
"""Images of a domain that are looked at to judge a model: more would hardly change the order of two."""


def evidence_of(start: Model, splits: Splits, context: Context) -> Evidence:
    """Return what validators see of a model that is to be adapted."""
    assert splits.target is not None, "a method that adapts to a domain has one"
    parts = [evenly(part) for part in (splits.source or splits.train, splits.val, splits.target)]
    train, val, target = (context.vectors(start, part) for part in parts)
    return Evidence(target, start.logits_of(target), val, start.logits_of(val), parts[1].labels(), train,
                    parts[0].labels(), epoch=0)


def answered(seen: Evidence, start: Model, adapted: Model, splits: Splits, context: Context) -> Evidence:
    """Return what validators see of the adapted model: its answers, among the features of the start.

    Features that were trained together with the answers agree with them even where both are wrong.
    seen: `evidence_of` the start.
    """
    assert splits.target is not None, "a method that adapts to a domain has one"
    if adapted.backbone is start.backbone:
        features = [seen.source_features, seen.target_features]
    else:
        features = [_vectors(adapted, evenly(part), context) for part in (splits.val, splits.target)]
    val, target = (adapted.logits_of(part) for part in features)
    return dataclasses.replace(seen, source_logits=val, target_logits=target)


def evenly(part: Dataset, most: int = MOST) -> Dataset:
    """Return at most so many images, spread evenly over the part."""
    return part if len(part) <= most else part.subset(even_rows(len(part), most))


def even_rows(count: int, most: int = MOST) -> np.ndarray:
    """Return int64 [min(count, most)], rows spread evenly over 0..count - 1."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def _vectors(model: Model, part: Dataset, context: Context) -> np.ndarray:
    return extract(model.backbone, model.preprocessing, [sample.source for sample in part.samples],
                   listen=context.listen, step="judging", device=context.device, workers=context.workers)


def verdicts(evidence: Evidence) -> dict[str, float]:
    """Return what each validator says; NaN of one that these images do not allow."""
    return {name: verdict(name, evidence) for name in VALIDATORS.names()}


def verdict(name: str, evidence: Evidence) -> float:
    """Return what one validator says; NaN where these images do not allow it."""
    try:
        return evidence.verdict(name)
    except DataError:
        return float("nan")


def carried(evidence: Evidence, *, weighted: bool = False) -> float:
    """Return how much of what a model knows beyond guessing is there on the target: 1 all, 0 or less nothing.

    (expected - guess) / (accuracy - guess), with the accuracy on the source's validation images, the share of its
    largest class as the guess, and what is expected on the target: the mean of the average thresholded confidence,
    which is strict where the model errs nowhere on the source, and of the difference of confidences, which is mild,
    times the way back. It is asked of a start for each method that goes on from it, and computed once.
    weighted: take the way back of the classes in the shares that are answered.
    """
    return evidence.once(f"carried, {weighted=}", lambda: _carried(evidence, weighted))


def _carried(evidence: Evidence, weighted: bool) -> float:
    labels = evidence.source_labels
    guess = float(np.bincount(labels).max() / len(labels))
    known, asked = (softened(logits, "guard") for logits in (evidence.source_logits, evidence.target_logits))
    expected = np.mean([estimate(known, labels, asked) for estimate in (average_thresholded_confidence,
                                                                        difference_of_confidences)])
    back = way_back(evidence.train_features, evidence.train_labels, evidence.target_features,
                    evidence.target_logits.argmax(axis=1), classes=evidence.target_logits.shape[1], weighted=weighted)
    accuracy = float((evidence.source_logits.argmax(axis=1) == labels).mean())
    return float(back * expected - guess) / (accuracy - guess) if accuracy > guess else 0.0


def groundless(name: str, ground: float) -> str:
    """Return in words that a model's answers are no ground to build on."""
    return (f"{name}: on the target the model is hardly more than guessing (it carries over {max(0.0, ground):.0%} of "
            "what it knows beyond that): its answers are no ground to build on. Do the images show these classes, and "
            "all of them?")
