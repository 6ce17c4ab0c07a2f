"""Evidence: what the features of one backbone say of its worth on these data, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from headstart.backbones.backbone import Backbone
from headstart.errors import HeadstartError
from headstart.evaluation.intervals import resample, wilson
from headstart.held_out import held_out
from headstart.scores.score import SCORES, MeanScore, Score

# N images, D features, C classes, Z classes of the pretrained classifier, R resamples

DEFAULT = "default"
"""The ranking that is made where no score is named: see `docs/explanation/judgement.md`."""
RESAMPLES = 1000
RECOMPUTED = 40
"""Resamples of a score that is no mean over the images: each computes it anew."""


@dataclass(frozen=True)
class Seen:
    """The features of some images, and what is known of them."""

    features: np.ndarray
    """float32 [N, D]."""
    labels: np.ndarray
    """int64 [N], or 0/1 [N, C]."""
    classes: int
    source: np.ndarray | None
    """float64 [N, Z]: the pretrained classifier's probabilities; None where it did not come along."""
    groups: Sequence[str] | None


@dataclass(frozen=True)
class Evidence:
    """The worth of one backbone on some images."""

    value: float
    replicates: np.ndarray
    """float64 [R]: the value on resamples of the images, the same ones for every backbone that saw as many."""
    accuracy: float
    """Of a cross-validated linear probe."""
    interval: tuple[float, float]
    """95% interval of the accuracy: Wilson's, as if the images were independent."""


def judge(seen: Seen, *, score: str, prior: float, seed: int) -> Evidence:
    """Return the evidence by a score of `scores/`, or by `default`: the probe's held-out log likelihood and the prior.

    prior: added to the value by `default`, in nats.
    """
    probe = held_out(seen.features, seen.labels, classes=seen.classes, seed=seed, groups=seen.groups)
    correct = probe.correct()
    interval = wilson(float(correct.mean()), len(correct))
    if score == DEFAULT:
        value, replicates = _of_terms(prior - probe.losses(), seen, seed)
    else:
        value, replicates = _of_score(SCORES.get(score)(), seen, seed)
    return Evidence(value, replicates, float(correct.mean()), interval)


def _of_terms(terms: np.ndarray, seen: Seen, seed: int) -> tuple[float, np.ndarray]:
    counts = np.concatenate(list(resample(len(terms), RESAMPLES, seed=seed, groups=seen.groups)))
    return float(terms.mean()), np.asarray(counts @ terms / counts.sum(axis=1))


def _of_score(score: Score, seen: Seen, seed: int) -> tuple[float, np.ndarray]:
    if isinstance(score, MeanScore):
        terms = score.each(seen.features, seen.labels, seen.source)
        if len(terms) == len(seen.labels):
            return _of_terms(terms, seen, seed)
    found = []
    for counts in np.concatenate(list(resample(len(seen.labels), RECOMPUTED, seed=seed, groups=seen.groups))):
        rows = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
        source = None if seen.source is None else seen.source[rows]
        try:
            found.append(score(seen.features[rows], seen.labels[rows], source))
        except HeadstartError:
            found.append(np.nan)  # a resample that happened to show one class only
    return score(seen.features, seen.labels, seen.source), np.array(found)


def other_scores(seen: Seen, names: Sequence[str]) -> dict[str, float | None]:
    """Return scores by name; None where one has no value here: no pretrained classifier."""
    found: dict[str, float | None] = {}
    for name in names:
        score = SCORES.get(name)()
        missing = score.needs_source and seen.source is None
        found[name] = None if missing else score(seen.features, seen.labels, seen.source)
    return found


def source_probabilities(backbone: Backbone, features: np.ndarray) -> np.ndarray | None:
    """Return float64 [N, Z], what the pretrained classifier says of the features; None where it did not come along."""
    if backbone.classifier is None:
        return None
    with torch.inference_mode():
        logits = backbone.classifier.cpu()(torch.from_numpy(np.ascontiguousarray(features, np.float32)))
        return np.asarray(logits.double().softmax(dim=1).numpy())


def ranks(evidence: Sequence[Evidence]) -> list[tuple[int, int]]:
    """Return the 95% interval of each rank (1 the best) over the resamples; all saw the same images."""
    table = np.stack([item.replicates for item in evidence])
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.shape[1]:
        return [(1, len(evidence))] * len(evidence)
    # Half of the ties count against each: equal candidates share their places.
    better = (table[None] > table[:, None]).sum(axis=1)
    low, high = np.quantile(better, (0.025, 0.975), axis=1, method="nearest")
    return [(int(a) + 1, int(b) + 1) for a, b in zip(low, high, strict=True)]


def clearly_worse(item: Evidence, best: Evidence) -> bool:
    """Return whether the whole 95% interval of the paired difference to `best` lies below zero."""
    difference = item.replicates - best.replicates
    difference = difference[~np.isnan(difference)]
    return bool(len(difference)) and float(np.quantile(difference, 0.975)) < 0
