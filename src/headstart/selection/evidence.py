"""Evidence: what the features of one backbone say of its worth on these data, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from headstart.backbones.backbone import Backbone
from headstart.errors import HeadstartError
from headstart.evaluation.intervals import resample
from headstart.held_out import held_out
from headstart.probabilities import wilson
from headstart.scores.gbc import GBC
from headstart.scores.score import SCORES, MeanScore, Score
from headstart.scores.spectrum import coordinates

# N images, D features, C classes, Z classes of the pretrained classifier, R resamples

DEFAULT = "default"
"""The ranking that is made where no score is named: see `docs/how-to/choose.md`."""
OVERLAP_WEIGHT, SIZE_WEIGHT = 1.0, 0.3
"""Chosen on benchmarks/selection.py; see docs/benchmarks.md."""
COMPONENTS = 64
"""Principal components in which the overlap is measured."""
LEAST = 1e-3
"""Loss and overlap below which nothing is told apart any more."""
MOST_CLASSES = 100
PAIRED = 200
"""Resamples of the default ranking."""
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

    def at(self, rows: np.ndarray) -> Seen:
        """Return some of the images, as often as they stand in `rows`."""
        return replace(self, features=self.features[rows], labels=self.labels[rows],
                       source=None if self.source is None else self.source[rows],
                       groups=None if self.groups is None else [self.groups[int(row)] for row in rows])


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
    losses: np.ndarray | None = None
    """float64 [R]: the probe's held-out log loss on the same resamples; None where a named score decides."""

    def probes_worse(self, other: Evidence) -> bool:
        """Return whether the probe's loss is clearly above the other's: the 95% interval of their paired difference."""
        return (self.losses is not None and other.losses is not None
                and float(np.quantile(self.losses - other.losses, 0.025)) > 0)


def judge(seen: Seen, *, score: str, gmacs: float, seed: int) -> Evidence:
    """Return the evidence by a score of `scores/`, or by `default`.

    gmacs: billions of multiply-adds of one image: the size of the model, which `default` takes for its prior.
    """
    seen = of_fewer_classes(seen)
    probe = held_out(seen.features, seen.labels, classes=seen.classes, seed=seed, groups=seen.groups)
    correct = probe.correct()
    interval = wilson(float(correct.mean()), len(correct))
    losses = None
    if score == DEFAULT:
        value, replicates, losses = _default(probe.losses(), seen, gmacs, seed)
    else:
        value, replicates = _of_score(SCORES.get(score)(), seen, seed)
    return Evidence(value, replicates, float(correct.mean()), interval, losses)


def bounded(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Return the evidence with none above another whose probe is clearly better; all saw the same images.

    Size and overlap order what the probe can't tell apart. Alone they put a large network of random weights, whose
    classes overlap little in some direction, before a small one that knows the images.
    """
    found = list(evidence)
    means = [math.inf if item.losses is None else float(np.mean(item.losses)) for item in found]
    for place in sorted(range(len(found)), key=means.__getitem__):
        above = [other.value for other in found if found[place].probes_worse(other)]
        over = found[place].value - min(above, default=math.inf) + LEAST
        if over > 0:
            found[place] = replace(found[place], value=found[place].value - over,
                                   replicates=found[place].replicates - over)
    return found


def of_fewer_classes(seen: Seen) -> Seen:
    """Return what is seen of MOST_CLASSES classes, evenly spread over the list, where there are more.

    A probe of a thousand classes takes minutes a candidate; backbones are told apart by a hundred as well.
    """
    if seen.classes <= MOST_CLASSES:
        return seen
    if seen.labels.ndim > 1:
        columns = np.linspace(0, seen.classes - 1, MOST_CLASSES).astype(np.int64)
        return replace(seen, labels=seen.labels[:, columns], classes=MOST_CLASSES)
    present = np.unique(seen.labels)
    kept = present[np.linspace(0, len(present) - 1, min(len(present), MOST_CLASSES)).astype(np.int64)]
    rows = np.flatnonzero(np.isin(seen.labels, kept))
    some = seen.at(rows)
    return replace(some, labels=np.searchsorted(kept, some.labels), classes=len(kept))


def _default(losses: np.ndarray, seen: Seen, gmacs: float, seed: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Return how small the probe's loss and the overlap of the classes are, in logarithms, with the prior of the size;
    the same on resamples, and the loss on these.

    Logarithms, so that each counts by its ratios: halving the loss is worth as much on hard data as on easy ones.
    losses: float64 [N], the held-out log loss of each image.
    """
    points, overlap = coordinates(seen.features, COMPONENTS), GBC(components=None)
    rows = np.arange(len(losses))

    def value(chosen: np.ndarray) -> float:
        loss = max(float(losses[chosen].mean()), LEAST)
        try:
            shared = -overlap(points[chosen], seen.labels[chosen])
        except HeadstartError:  # a resample that happened to show one class only
            return float("nan")
        return -math.log(loss) - OVERLAP_WEIGHT * math.log(shared + LEAST) + SIZE_WEIGHT * math.log(max(gmacs, 1e-6))

    counts = np.concatenate(list(resample(len(losses), PAIRED, seed=seed, groups=seen.groups))).astype(np.int64)
    values = np.array([value(np.repeat(rows, times)) for times in counts])
    return *_about(value(rows), values), counts @ losses / counts.sum(axis=1)


def _about(value: float, replicates: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value, and its resamples moved so that their median is the value.

    A resample holds images twice, which looks like better separated classes: it tells the spread, not the place.
    """
    return value, replicates - np.nanmedian(replicates) + value


def _of_terms(terms: np.ndarray, seen: Seen, seed: int) -> tuple[float, np.ndarray]:
    counts = np.concatenate(list(resample(len(terms), RESAMPLES, seed=seed, groups=seen.groups)))
    return float(terms.mean()), np.asarray(counts @ terms / counts.sum(axis=1))


def _of_score(score: Score, seen: Seen, seed: int) -> tuple[float, np.ndarray]:
    if isinstance(score, MeanScore):
        terms = score.each(seen.features, seen.labels, seen.source, seen.groups)
        if len(terms) == len(seen.labels):
            return _of_terms(terms, seen, seed)
    found = []
    for counts in np.concatenate(list(resample(len(seen.labels), RECOMPUTED, seed=seed, groups=seen.groups))):
        drawn = seen.at(np.repeat(np.arange(len(counts)), counts.astype(np.int64)))
        try:
            found.append(score(drawn.features, drawn.labels, drawn.source, drawn.groups))
        except HeadstartError:
            found.append(np.nan)  # a resample that happened to show one class only
    return _about(score(seen.features, seen.labels, seen.source, seen.groups), np.array(found))


def other_scores(seen: Seen, names: Sequence[str], tell: Callable[[str], None]) -> dict[str, float | None]:
    """Return scores by name; None where one has no value here: no pretrained classifier, or it can't be computed.

    tell: takes a sentence for each that can't be computed; a score beside the one that decides costs nobody a place.
    """
    found: dict[str, float | None] = {}
    for name in names:
        score = SCORES.get(name)()
        missing = score.needs_source and seen.source is None
        found[name] = None
        if missing:
            continue
        try:
            value = float(score(seen.features, seen.labels, seen.source, seen.groups))
        except (HeadstartError, ValueError, ArithmeticError, RuntimeError) as error:
            tell(f"{name} can't be computed: {error}")
            continue
        if math.isfinite(value):
            found[name] = value
        else:
            tell(f"{name} has no finite value")
    return found


def source_probabilities(backbone: Backbone, features: np.ndarray) -> np.ndarray | None:
    """Return float64 [N, Z], what the pretrained classifier says of the features; None where it did not come along."""
    if backbone.classifier is None:
        return None
    with torch.inference_mode():
        logits = backbone.classifier.cpu()(torch.from_numpy(np.ascontiguousarray(features, np.float32)))
        return np.asarray(logits.double().softmax(dim=1).numpy())


def ranks(evidence: Sequence[Evidence]) -> list[tuple[int, int]]:
    """Return the 95% interval of each rank (1 the best) over the resamples; all saw the same images.

    Whoever has the clearly better probe stands before, whatever the values' resamples say.
    """
    table = np.stack([item.replicates for item in evidence])
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.shape[1]:
        return [(1, len(evidence))] * len(evidence)
    # Half of the ties count against each: equal candidates share their places.
    better = (table[None] > table[:, None]).sum(axis=1)
    low, high = np.quantile(better, (0.025, 0.975), axis=1, method="nearest")
    beaten = np.array([[item.probes_worse(other) for other in evidence] for item in evidence])
    low, high = np.maximum(low, beaten.sum(axis=1)), np.minimum(high, len(evidence) - 1 - beaten.sum(axis=0))
    return [(int(min(a, b)) + 1, int(max(a, b)) + 1) for a, b in zip(low, high, strict=True)]


def clearly_worse(item: Evidence, best: Evidence) -> bool:
    """Return whether the whole 95% interval of the paired difference to `best` lies below zero."""
    difference = item.replicates - best.replicates
    difference = difference[~np.isnan(difference)]
    return bool(len(difference)) and float(np.quantile(difference, 0.975)) < 0
