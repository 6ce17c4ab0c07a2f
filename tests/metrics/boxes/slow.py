"""COCO's rules written out one detection at a time, to hold the fast ones against."""

from __future__ import annotations

import numpy as np

from headstart.metrics.boxes import Truth
from headstart.types import Detections

SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


def said(*rows: tuple) -> Detections:
    """Return detections from (left, top, right, bottom, score, label) each."""
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int64))


def iou(a, b, crowd=False) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    one, other = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    union = one if crowd else one + other - shared
    return shared / union if union else 0.0


def judged(found: Detections, truth: Truth, label: int, floor: float, size: str) -> list[tuple[float, bool]]:
    """Return (score, right) of the detections of a class in one image that count, the surest first."""
    low, high = SIZES[size]
    objects = [g for g in range(len(truth.labels)) if truth.labels[g] == label]
    out = {g: bool(truth.ignored[g] or not low <= truth.areas[g] <= high) for g in objects}
    objects.sort(key=lambda g: out[g])
    mine = sorted((k for k in range(len(found.labels)) if found.labels[k] == label), key=lambda k: -found.scores[k])
    taken, rows = set(), []
    for k in mine[:100]:
        best, most = None, min(floor, 1 - 1e-10)
        for g in objects:
            if g in taken and not truth.crowd[g]:
                continue
            if best is not None and not out[best] and out[g]:
                break
            over = iou(found.boxes[k].astype(float), truth.boxes[g], truth.crowd[g])
            if over >= most:
                best, most = g, over
        if best is not None:
            taken.add(best)
            if not out[best]:
                rows.append((float(found.scores[k]), True))
            continue
        box = found.boxes[k].astype(float)
        if low <= (box[2] - box[0]) * (box[3] - box[1]) <= high:
            rows.append((float(found.scores[k]), False))
    return rows


def positives(truth: Truth, label: int, size: str) -> int:
    low, high = SIZES[size]
    return int(((truth.labels == label) & ~truth.ignored & (truth.areas >= low) & (truth.areas <= high)).sum())


def average_precision(rows: list[tuple[float, bool]], count: int) -> float:
    """Return the 101-point AP of (score, right) rows in the order of the images; NaN without objects."""
    if not count:
        return float("nan")
    curve, right = [], 0
    for place, (_, good) in enumerate(sorted(rows, key=lambda row: -row[0]), 1):
        right += good
        curve.append((right / count, right / place))
    return float(np.mean([max([p for r, p in curve if r >= level], default=0.0) for level in np.linspace(0, 1, 101)]))


def precision_of(found: list[Detections], truths: list[Truth], label: int, *, floor: float, size: str = "all") -> float:
    rows = [row for f, t in zip(found, truths, strict=True) for row in judged(f, t, label, floor, size)]
    return average_precision(rows, sum(positives(t, label, size) for t in truths))
