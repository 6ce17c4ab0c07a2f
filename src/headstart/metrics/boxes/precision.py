"""Average precision and recall as COCO defines them, on many weightings of the images at once.

# N images, C classes, A sizes, T thresholds, R weightings; D detections, H of which are hits
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.metrics.boxes.masks import MaskOverlaps
from headstart.metrics.boxes.matching import SIZES, Matches, match
from headstart.metrics.boxes.truth import Truth
from headstart.types import Detections

RECALLS = np.linspace(0.0, 1.0, 101)
BLOCK = 2**19
"""Numbers held at once; what fits a processor's cache is fastest."""
PRECISIONS = {"ap": ("all", None), "ap50": ("all", 0.5), "ap75": ("all", 0.75), "ap_small": ("small", None),
              "ap_medium": ("medium", None), "ap_large": ("large", None)}
"""Name -> size, and IoU threshold; None takes the mean over all."""
SHARES = {"ar1": ("all", 1), "ar10": ("all", 10), "ar100": ("all", 100), "ar_small": ("small", 100),
          "ar_medium": ("medium", 100), "ar_large": ("large", 100)}
"""Name -> size, and how many detections of a class in an image count."""
NAMES = (*PRECISIONS, *SHARES)
MASK = "mask_"
"""Before the name of a metric of which masks are matched, not boxes."""
MASK_NAMES = tuple(MASK + name for name in (*PRECISIONS, "ar100"))


def detection_scorer(matches: Matches, names: Sequence[str] = NAMES) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return a call from weights float64 [R, N] to {name: float64 [R, C]}: each metric of each class.

    A class without a counted object is NaN; the metric is the mean over the others (`over_classes`). A weight of 2
    says that the image was drawn twice: that is exact but for the order among equal scores.
    Source: Lin et al., "Microsoft COCO", ECCV 2014; 101 recall levels.
    """
    plans = [_plan(matches, label, names) for label in range(matches.classes)]

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {name: np.full((len(weights), matches.classes), np.nan) for name in names}
        for label, sizes in enumerate(plans):
            longest = max((len(curve.image) for size in sizes for curve in size.curves), default=0)
            step = max(1, BLOCK // max(1, longest))
            for start in range(0, len(weights), step):
                drawn = np.ascontiguousarray(weights[start:start + step].T, np.float64)
                for name, values in _of_class(sizes, drawn, len(matches.thresholds)).items():
                    found[name][start:start + step, label] = values
        return found
    return score


def detection_metrics(found: Sequence[Detections], truths: Sequence[Truth], classes: int,
                      names: Sequence[str] = NAMES, *, masks: Sequence[MaskOverlaps] | None = None
                      ) -> dict[str, float]:
    """Return {name: value} on these images, the mean over the classes; NaN where undefined. For a look while training.

    masks: as in `match`.

    Raises DataError for what can't be measured.
    """
    values = detection_scorer(match(found, truths, classes, masks=masks), names)(np.ones((1, len(truths))))
    return {name: float(over_classes(value)[0]) for name, value in values.items()}


def over_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that are defined, float64 [...]; NaN where none is. values: float [..., C]."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


@dataclass(frozen=True)
class _Curve:
    """Detections that the same thresholds leave out: where the hits of each threshold stand among the others."""

    image: np.ndarray
    """int64 [D], the surest first, down to the last hit: what comes after it changes nothing."""
    hits: dict[int, np.ndarray]
    """Threshold -> int64 [H], places in `image`."""


@dataclass(frozen=True)
class _Size:
    """What is counted of one class and one range of sizes."""

    objects: np.ndarray
    """int64, the image of each object."""
    curves: list[_Curve]
    precisions: dict[str, list[int]]
    """Name -> thresholds of which it is the mean."""
    shares: dict[str, tuple[np.ndarray, np.ndarray]]
    """Name -> the image of each hit, and at how many thresholds it is one."""


def _plan(matches: Matches, label: int, names: Sequence[str]) -> list[_Size]:
    """Return what does not depend on the weights, for one class."""
    rows = slice(*np.searchsorted(matches.label, [label, label + 1]))
    image, rank = matches.image[rows], matches.rank[rows]
    sizes = []
    for place, size in enumerate(SIZES):
        own = (matches.object_label == label) & matches.counted[place]
        precisions = {name: [t for t, at in enumerate(matches.thresholds) if level is None or np.isclose(at, level)]
                      for name, (of, level) in PRECISIONS.items() if of == size and name in names}
        levels = sorted({t for chosen in precisions.values() for t in chosen})
        hit, ignored = matches.hit[place, :, rows], matches.ignored[place, :, rows]
        # The mean of the recalls over the thresholds: how many of them each detection is a hit at.
        times = hit.sum(axis=0)
        wanted = [(name, most) for name, (of, most) in SHARES.items() if of == size and name in names]
        among = {name: np.flatnonzero((rank < most) & (times > 0)) for name, most in wanted}
        shares = {name: (image[some], times[some]) for name, some in among.items()}
        sizes.append(_Size(matches.object_image[own], _curves(hit, ignored, image, levels), precisions, shares))
    return sizes


def _curves(hit: np.ndarray, ignored: np.ndarray, image: np.ndarray, levels: Sequence[int]) -> list[_Curve]:
    """Return the thresholds put together by what they ignore. hit, ignored: bool [T, D]. image: int64 [D]."""
    alike: dict[bytes, list[int]] = {}
    for level in levels:
        alike.setdefault(ignored[level].tobytes(), []).append(level)
    curves = []
    for chosen in alike.values():
        kept = np.flatnonzero(~ignored[chosen[0]])
        last = np.flatnonzero(hit[chosen][:, kept].any(axis=0))
        kept = kept[:last[-1] + 1] if len(last) else kept[:0]
        curves.append(_Curve(image[kept], {level: np.flatnonzero(hit[level, kept]) for level in chosen}))
    return curves


def _of_class(sizes: Sequence[_Size], drawn: np.ndarray, thresholds: int) -> dict[str, np.ndarray]:
    """Return {name: float64 [R]} of one class. drawn: float64 [N, R]."""
    found: dict[str, np.ndarray] = {}
    for size in sizes:
        positives = drawn[size.objects].sum(axis=0)
        values: dict[int, np.ndarray] = {}
        for curve in size.curves:
            given = np.cumsum(drawn[curve.image], axis=0)
            for level, places in curve.hits.items():
                right = np.cumsum(drawn[curve.image[places]], axis=0)
                values[level] = interpolated(right, given[places], positives)
        for name, levels in size.precisions.items():
            found[name] = np.mean([values[level] for level in levels], axis=0)
        for name, (image, times) in size.shares.items():
            found[name] = _ratio(times @ drawn[image], positives * thresholds)
    return found


def interpolated(right: np.ndarray, given: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return float64 [R], the mean over 101 levels of recall of the best precision at that recall or a higher one.

    right, given: float64 [H, R], the weight of hits and of all detections down to each hit, the surest first.
    positives: float64 [R], the weight of the objects; NaN comes back where it is 0.
    """
    if not len(right):
        return np.where(positives > 0, 0.0, np.nan)
    precision = np.divide(right, given, out=np.zeros_like(right), where=given > 0)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = _ratio(right, positives)
    reached = np.searchsorted(RECALLS, recall, side="right")  # levels at or below
    steps = np.diff(reached, axis=0, prepend=0)
    return np.where(positives > 0, (best * steps).sum(axis=0) / len(RECALLS), np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole with NaN where whole is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
