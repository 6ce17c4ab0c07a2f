"""Prospects: how often a model of one set will be right on another, and in which proportions its classes stand there.

# N images of the source with held-out answers, M of the target, C classes, D features
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.domains.shares import ways_back
from headstart.errors import DataError
from headstart.evaluation.calibration import fit_temperature
from headstart.expected_accuracy import ExpectedAccuracy, expected_accuracy
from headstart.held_out import held_out
from headstart.label_shift import bbse, em, moved
from headstart.logistic import fit_path
from headstart.seeds import generator
from headstart.tasks.classification import Classification
from headstart.validators.validator import Evidence

SHIFTED = 0.1
"""Share of the images that would have to change class, from which on the proportions are called different."""
AGREE = 0.1
"""Largest such share between two of the estimates up to which they are believed."""
EXPLAINED = 0.5
"""Part of the way between the two sets that another mix of classes must go to be believed."""


@dataclass(frozen=True)
class Answers:
    """What a model says of images that it did not learn from."""

    source: np.ndarray
    """float64 [N, C], calibrated probabilities."""
    labels: np.ndarray
    """int64 [N]."""
    target: np.ndarray
    """float64 [M, C]."""
    classes: tuple[str, ...]
    by: str
    """What answers, in words."""
    way_back: float = 1.0
    """As `round_trip.way_back` says."""
    weighted_way_back: float | None = None
    """As `domains.shares.ways_back` says."""
    points: tuple[np.ndarray, np.ndarray] | None = None
    """float [N, D] and [M, D], the features that were answered of, where they are known."""


@dataclass(frozen=True)
class LabelShift:
    """The proportions of the classes in the target, estimated without a label of it."""

    classes: tuple[str, ...]
    source: tuple[float, ...]
    """Where the model learned."""
    estimates: dict[str, tuple[float, ...]]
    """`bbse_hard`, `bbse_soft`, `em`."""
    real: tuple[float, ...] | None
    """Where the target has labels after all; they are shown beside the estimates and change none."""
    explained: float = 1.0
    """Part of the way between the mean features of the two that another mix of the source's classes goes, 0..1."""

    @property
    def moved(self) -> float:
        """Share of the images that would have to change class, by the most careful of the estimates; 0..1."""
        return min((moved(self.source, found) for found in self.estimates.values()), default=0.0)

    @property
    def agree(self) -> bool:
        """Whether the estimates lie near each other."""
        found = list(self.estimates.values())
        return bool(found) and max(moved(one, two) for one in found for two in found) <= AGREE

    @property
    def shifted(self) -> bool:
        """Whether the proportions are called different, if they can be told."""
        return self.moved >= SHIFTED

    @property
    def told(self) -> bool:
        """Whether the estimates tell the proportions.

        All take for granted that a class looks in the target as it does at home. Where it does not, they agree on the
        same mistake: another mix must then explain where the target lies.
        """
        return self.agree and (not self.shifted or self.explained >= EXPLAINED)

    def largest(self) -> tuple[str, float, float]:
        """Return the class whose share changed most by EM, with that share in the source and in the target."""
        found = self.estimates.get("em") or next(iter(self.estimates.values()))
        place = int(np.argmax(np.abs(np.subtract(found, self.source))))
        return self.classes[place], self.source[place], found[place]

    def to_json(self) -> dict[str, Any]:
        """Return plain values: {class: share} of the source and of each estimate."""
        named = {name: dict(zip(self.classes, shares, strict=True)) for name, shares in
                 {"source": self.source, **self.estimates, **({"real": self.real} if self.real else {})}.items()}
        return {**named, "moved": self.moved, "agree": self.agree, "explained": self.explained, "told": self.told}


@dataclass(frozen=True)
class Prospects:
    """What is to be expected on the target."""

    expected: ExpectedAccuracy
    real: float | None
    """Accuracy by the target's labels, where it has some; it is shown and changes nothing."""
    shift: LabelShift | None
    """None where the answers tell nothing of it."""
    by: str

    @property
    def loss(self) -> float:
        """Accuracy that is expected to be lost, in -1..1."""
        return self.expected.source_accuracy - self.expected.accuracy

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"by": self.by, "expected": asdict(self.expected), "real": self.real,
                "label_shift": None if self.shift is None else self.shift.to_json()}


def probe_answers(features: np.ndarray, labels: np.ndarray, target: np.ndarray, *, classes: tuple[str, ...],
                  groups: list[str] | None, seed: int) -> Answers:
    """Return the answers of logistic regression on features float32 [N, D], of the target's [M, D] too.

    labels: int64 [N]. Of the source each image is answered by a fit that did not see it, in five folds; those answers
    fit the temperature. The target is answered by a fit on all, of the same penalty.
    Raises DataError where the images show one class only.
    """
    shown = np.unique(labels)
    if len(shown) < 2:
        raise DataError("the images show one class only, so that no model can be fitted to expect anything of.")
    out = held_out(features, labels, classes=len(classes), seed=seed, groups=groups)
    task = Classification()
    temperature = fit_temperature(out.logits, labels, task)
    fit = next(fit_path(features, labels, classes=len(classes), weights=np.ones(len(labels)), penalties=[out.l2]))
    there = fit.logits(target)
    seen = Evidence(target, there, features, out.logits, labels, features, labels, 0)
    plain, weighted = ways_back(seen, features, labels)
    return Answers(task.probabilities(out.logits, temperature), labels, task.probabilities(there, temperature), classes,
                   "a linear probe", plain, weighted, (features, target))


def prospects(answers: Answers, target_labels: np.ndarray | None, *, seed: int) -> Prospects:
    """Return what the answers let expect.

    target_labels: int [M], -1 for a class that the source does not have; None where none is known.
    """
    found = expected_accuracy(answers.source, answers.labels, answers.target, rng=generator(seed, "expected"),
                              way_back=answers.way_back, weighted_way_back=answers.weighted_way_back)
    real = None
    if target_labels is not None and (target_labels >= 0).any():
        known = target_labels >= 0
        real = float((answers.target[known].argmax(axis=1) == target_labels[known]).mean())
    return Prospects(found, real, _shift(answers, target_labels), answers.by)


def _shift(answers: Answers, target_labels: np.ndarray | None) -> LabelShift | None:
    count = len(answers.classes)
    prior = np.bincount(answers.labels, minlength=count) / len(answers.labels)
    try:
        estimates = {name: bbse(answers.source, answers.labels, answers.target, hard=hard)
                     for name, hard in (("bbse_hard", True), ("bbse_soft", False))}
        estimates["em"] = em(prior, answers.target)
    except DataError:  # a model that answers the same whatever it sees
        return None
    real = None
    if target_labels is not None and (target_labels >= 0).any():
        real = _plain(np.bincount(target_labels[target_labels >= 0], minlength=count) / (target_labels >= 0).sum())
    explained = 1.0 if answers.points is None else mix_explains(*answers.points, answers.labels, estimates["em"])
    return LabelShift(answers.classes, _plain(prior), {name: _plain(found) for name, found in estimates.items()}, real,
                      explained)


def mix_explains(source: np.ndarray, target: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> float:
    """Return the part of the squared distance of the mean features that the source's classes in other shares close.

    source: float [N, D]; target: float [M, D]; labels: int64 [N]; shares: float64 [C], of the target. 1 where the means
    lie no further apart than chance brings; each distance is freed of what chance adds to it.
    """
    def spread(points: np.ndarray) -> float:
        return float(points.var(axis=0, dtype=np.float64).sum()) / len(points)

    goal, own = target.mean(axis=0, dtype=np.float64), source.mean(axis=0, dtype=np.float64)
    mixed, noise = np.zeros_like(goal), spread(target)
    for place in np.unique(labels):
        members = source[labels == place]
        mixed += shares[place] * members.mean(axis=0, dtype=np.float64)
        noise += shares[place] ** 2 * spread(members)
    apart = float(((goal - own) ** 2).sum()) - spread(source) - spread(target)
    left = float(((goal - mixed) ** 2).sum()) - noise
    return 1.0 if apart <= 0 else float(np.clip(1 - left / apart, 0.0, 1.0))


def _plain(shares: np.ndarray) -> tuple[float, ...]:
    return tuple(float(share) for share in shares)
