"""COCO: the metrics by faster-coco-eval, a kept library, as a check of our own. The only door to it.

It gives no intervals: for those the metrics are computed anew on a thousand weightings of the images, by
`metrics.boxes`. That both agree is measured in every evaluation, and stands in its details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.metrics.boxes.precision import NAMES
from headstart.metrics.boxes.truth import Truth, refuse_unfit
from headstart.types import Detections

NO_SIZE = 2e10
"""Square pixels: beyond every range of sizes, so that the object is ignored and yet no crowd (difficult ones)."""


def coco_metrics(found: Sequence[Detections], truths: Sequence[Truth], classes: int) -> dict[str, float]:
    """Return {name: value} for COCO's twelve metrics; NaN where undefined.

    Raises DataError for what can't be measured: native code is given checked numbers only.
    """
    refuse_unfit(found, truths, classes)
    if not any(len(truth.labels) for truth in truths):
        return dict.fromkeys(NAMES, float("nan"))
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_dataset(truths, classes))
    rows = _results(found)
    results = truth.loadRes(rows) if rows else COCO(_dataset([], classes) | {"images": truth.dataset["images"]})
    evaluation = COCOeval_faster(truth, results, "bbox", print_function=lambda *_: None)
    evaluation.params.imgIds = list(range(1, len(truths) + 1))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    stats = np.asarray(evaluation.stats[:len(NAMES)], np.float64)
    return dict(zip(NAMES, np.where(stats < 0, np.nan, stats).tolist(), strict=True))


def _dataset(truths: Sequence[Truth], classes: int) -> dict[str, Any]:
    """Return the objects as COCO's dictionary; ids count from 1, for 0 means `not matched` to such code."""
    rows = [(image, *row) for image, t in enumerate(truths, 1)
            for row in zip(_sides(t.boxes), t.labels, t.areas, t.crowd, t.ignored, strict=True)]
    return {
        "info": {}, "images": [{"id": image, "width": 1, "height": 1} for image in range(1, len(truths) + 1)],
        "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)],
        "annotations": [{
            "id": number, "image_id": image, "category_id": int(label) + 1, "bbox": sides, "iscrowd": int(crowd),
            "area": NO_SIZE if ignored and not crowd else float(area), "segmentation": []}
            for number, (image, sides, label, area, crowd, ignored) in enumerate(rows, 1)]}


def _results(found: Sequence[Detections]) -> list[dict[str, Any]]:
    return [{"image_id": image, "category_id": int(label) + 1, "bbox": sides, "score": float(score)}
            for image, f in enumerate(found, 1)
            for sides, label, score in zip(_sides(f.boxes), f.labels, f.scores, strict=True)]


def _sides(boxes: np.ndarray) -> list[list[float]]:
    """Return (left, top, width, height) of each box."""
    sides = np.array(boxes, np.float64).reshape(-1, 4)
    sides[:, 2:] -= sides[:, :2]
    return sides.tolist()
