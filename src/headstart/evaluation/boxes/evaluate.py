"""Evaluate detections: what a detector is worth on one split, every metric with its interval.

# N images, C classes, R resamples
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import ConfigError, DataError
from headstart.evaluation.boxes.coco import coco_metrics
from headstart.evaluation.boxes.confusion import confusion
from headstart.evaluation.boxes.decisions import Decisions, best_thresholds, curves, decisions, mean_f1
from headstart.evaluation.boxes.tide import ImageErrors, errors_at, tide
from headstart.evaluation.comparison import Difference, concluded
from headstart.evaluation.intervals import Interval, bootstrap, effective_size, interval
from headstart.metrics.boxes.calibrated import calibration_bins, calibration_scorer
from headstart.metrics.boxes.masks import PANOPTIC, MaskOverlaps, Segments, mask_overlaps, segments
from headstart.metrics.boxes.matching import Matches, match
from headstart.metrics.boxes.precision import MASK, MASK_NAMES, NAMES, detection_scorer, over_classes
from headstart.metrics.boxes.truth import Truth
from headstart.metrics.registry import metric as metric_named
from headstart.types import Detections, Sample

CALIBRATION = "detection_calibration_error"
Scorer = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From weights float64 [R, N] to {name: [R]}."""
CHECKED = 200_000
"""Detections up to which the library computes the metrics once more: it takes a dictionary for each."""


@dataclass(frozen=True)
class DetectionEvaluation:
    """What was found on one split."""

    metrics: dict[str, Interval]
    details: dict[str, Any]
    """Plain values: `per_class`, `curves`, `confusion` (rows are the truth, the last of each is background), `tide`,
    `reliability`, `thresholds`, `thresholds_chosen` (`before` or `here`), `counts`, `undefined` (the classes without
    objects), `f1` at the thresholds, `library` (what the kept library says and how far off we are)."""
    errors: tuple[ImageErrors, ...]
    """Of each image, in the order they were given, where only detections from the thresholds on are given."""

    def to_json(self) -> dict[str, dict[str, float | None]]:
        """Return {metric: {"value", "low", "high"}} with null for what is undefined."""
        return {name: found.to_json() for name, found in self.metrics.items()}


@dataclass(frozen=True)
class Pixels:
    """What is needed to judge the masks of detections, of each image."""

    overlaps: Sequence[MaskOverlaps]
    segments: Segments
    """At the thresholds from which on detections are shown."""


def pixels_of(found: Sequence[Detections], samples: Sequence[Sample], sizes: Sequence[tuple[int, int]],
              thresholds: Sequence[float]) -> Pixels | None:
    """Return how the masks lie on the objects of each image; None where these, or the detections, have no masks.

    sizes: height and width of each image. thresholds: of each class, from which on detections are shown.
    """
    objects = [sample.objects or () for sample in samples]
    if any(one.masks is None for one in found) or not all(
            one.polygons or one.rle or one.crowd for some in objects for one in some):
        return None
    return Pixels([mask_overlaps(*one) for one in zip(found, objects, sizes, strict=True)],
                  segments(found, objects, sizes, thresholds))


def evaluate_detections(found: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str], *,
                        pixels: Pixels | None = None, groups: Sequence[object] | None = None,
                        thresholds: Sequence[float] | None = None, seed: int = 0,
                        resamples: int = 1000) -> DetectionEvaluation:
    """Return COCO's metrics and the calibration error with their 95 % bootstrap intervals, and the details behind them.

    found, truths: one of each for every image, in the same order (`truths_of` makes them from samples). pixels: what
    `pixels_of` found of masks, whose metrics are then given, too. groups: the group of each image; where given, the
    bootstrap draws groups. thresholds: of each class, chosen on validation by `choose_detection_thresholds`; None
    chooses them here, which flatters what rests on them (F1 and the confusion), and the details say so. resamples: 0
    leaves intervals undefined.
    Raises DataError where there is no image, or something can't be measured.
    """
    if not len(truths):
        raise DataError("there is no image to evaluate on: the split is empty. Give it images, or split anew.")
    if thresholds is not None and len(thresholds) != len(classes):
        raise ConfigError(f"{len(thresholds)} thresholds were given for {len(classes)} classes. Give one for each.")
    matches = match(found, truths, len(classes))
    score = _scorer(matches) if pixels is None else _both(_scorer(matches), mask_scorer(
        match(found, truths, len(classes), masks=pixels.overlaps), pixels.segments))
    values = {name: float(value[0]) for name, value in score(np.ones((1, len(truths)))).items()}
    replicates = bootstrap(score, len(truths), resamples=resamples, seed=seed, groups=groups)
    size = effective_size(len(truths), groups=groups)
    intervals = {name: interval(name.partition(" ")[0], value, replicates.get(name, np.zeros(0)), size=size)
                 for name, value in values.items()}
    of_classes = decisions(matches)
    chosen = best_thresholds(of_classes) if thresholds is None else tuple(float(t) for t in thresholds)
    kinds, _ = tide(found, truths, matches)
    details = {
        "per_class": _classwise(matches, of_classes, classes, chosen, intervals),
        "curves": curves(of_classes, classes), "confusion": confusion(found, truths, chosen).tolist(), "tide": kinds,
        "reliability": calibration_bins(matches), "thresholds": list(chosen),
        "thresholds_chosen": "here" if thresholds is None else "before",
        "f1": _number(mean_f1(of_classes, chosen)), "counts": _counts(found, truths),
        "undefined": [name for name, one in zip(classes, of_classes, strict=True) if not one.positives],
        "library": _library(found, truths, len(classes), values)}
    told = (*NAMES, CALIBRATION) if pixels is None else (*NAMES, CALIBRATION, *MASK_NAMES, *PANOPTIC)
    if pixels is not None:
        for c, name in enumerate(classes):
            details["per_class"][name]["mask_ap50"] = intervals[f"mask_ap50 {c}"].to_json()
    return DetectionEvaluation({name: intervals[name] for name in told}, details, errors_at(found, truths, chosen))


def compare_detections(found_a: Sequence[Detections], found_b: Sequence[Detections], truths: Sequence[Truth],
                       classes: Sequence[str], *, metric: str = "ap",
                       masks: tuple[Sequence[MaskOverlaps], Sequence[MaskOverlaps]] | None = None,
                       groups: Sequence[object] | None = None,
                       seed: int = 0, resamples: int = 1000) -> Difference:
    """Return the difference a - b of a metric with its 95 % paired bootstrap interval: both on the same draws.

    All in the same order of the images. masks: how those of both lie on the objects, for a metric of masks.
    Raises ConfigError for a metric that is none of detection, DataError for what can't be measured.
    Source: Efron & Tibshirani 1993, chapter 16.
    """
    known = (*NAMES, CALIBRATION) if masks is None else (*NAMES, CALIBRATION, *MASK_NAMES)
    if metric_named(metric).name not in known:
        raise ConfigError(f"{metric} is no metric by which these detectors can be compared. Choices: "
                          f"{', '.join(known)}.")
    if masks is not None and metric in MASK_NAMES:
        first, second = (mask_scorer(match(found, truths, len(classes), masks=on), None, [metric])
                         for found, on in zip((found_a, found_b), masks, strict=True))
    else:
        first, second = (_scorer(match(found, truths, len(classes)), [metric]) for found in (found_a, found_b))

    def difference(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {metric: first(weights)[metric] - second(weights)[metric]}

    value = float(difference(np.ones((1, len(truths))))[metric][0])
    drawn = bootstrap(difference, len(truths), resamples=resamples, seed=seed, groups=groups)
    return concluded(metric, value, drawn.get(metric, np.zeros(0)))


def mask_scorer(matches: Matches, counted: Segments | None, names: Sequence[str] = MASK_NAMES) -> Scorer:
    """Return a call from weights [R, N] to {name: [R]} of masks, also `mask_ap50 0`, `mask_ap50 1` ... by class.

    matches: of masks. counted: for panoptic quality; None leaves it out.
    """
    plain = [name.removeprefix(MASK) for name in names]
    classwise = detection_scorer(matches, plain)
    panoptic = counted.scorer() if counted else None

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = classwise(weights)
        result = {MASK + name: over_classes(values) for name, values in found.items()}
        alone = found.get("ap50", np.zeros((len(weights), 0)))
        return result | {f"mask_ap50 {c}": alone[:, c] for c in range(alone.shape[1])} | (
            panoptic(weights) if panoptic else {})
    return score


def _both(first: Scorer, second: Scorer) -> Scorer:
    return lambda weights: first(weights) | second(weights)


def _scorer(matches: Matches, names: Sequence[str] = (*NAMES, CALIBRATION)) -> Scorer:
    """Return a call from weights [R, N] to {name: [R]}; where AP50 is asked for, also `ap50 0`, `ap50 1` ... by class.
    """
    classwise = detection_scorer(matches, [name for name in names if name != CALIBRATION])
    calibration = calibration_scorer(matches)

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = classwise(weights)
        result = {name: over_classes(values) for name, values in found.items()}
        if CALIBRATION in names:
            result[CALIBRATION] = calibration(weights)
        alone = found.get("ap50", np.zeros((len(weights), 0)))
        return result | {f"ap50 {c}": alone[:, c] for c in range(alone.shape[1])}
    return score


def _classwise(matches: Matches, of_classes: Sequence[Decisions], classes: Sequence[str],
               thresholds: Sequence[float], intervals: dict[str, Interval]) -> dict[str, Any]:
    """Return what was found of each class."""
    values = {name: found[0] for name, found in detection_scorer(matches, ["ap", "ap75", "ar100"])(
        np.ones((1, matches.images))).items()}
    rows = {}
    for c, (name, one) in enumerate(zip(classes, of_classes, strict=True)):
        precision, recall, f1 = (float(value[0]) for value in one.at(np.array([thresholds[c]])))
        mine = matches.object_image[(matches.object_label == c) & matches.counted[0]]
        rows[name] = {"ap": _number(values["ap"][c]), "ap50": intervals[f"ap50 {c}"].to_json(),
                      "ap75": _number(values["ap75"][c]), "ar100": _number(values["ar100"][c]),
                      "threshold": float(thresholds[c]), "precision": _number(precision), "recall": _number(recall),
                      "f1": _number(f1), "support": one.positives, "images": len(np.unique(mine)),
                      "detections": int((matches.label == c).sum())}
    return rows


def _counts(found: Sequence[Detections], truths: Sequence[Truth]) -> dict[str, int]:
    ignored = sum(int(truth.ignored.sum()) for truth in truths)
    return {"images": len(truths), "images_without_objects": sum(not len(truth.labels) for truth in truths),
            "objects": sum(len(truth.labels) for truth in truths) - ignored, "ignored": ignored,
            "detections": sum(len(one.labels) for one in found)}


def _library(found: Sequence[Detections], truths: Sequence[Truth], classes: int,
             values: dict[str, float]) -> dict[str, Any] | None:
    """Return what the kept library says, and the largest gap to our values; None where there is too much for it."""
    if sum(len(one.labels) for one in found) > CHECKED:
        return None
    theirs = coco_metrics(found, truths, classes)
    gaps = [abs(values[name] - value) for name, value in theirs.items() if not math.isnan(value)]
    return {"name": "faster-coco-eval", "metrics": {name: _number(value) for name, value in theirs.items()},
            "largest_gap": max(gaps, default=0.0)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
