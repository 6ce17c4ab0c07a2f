"""Rows: what predictions.parquet says of each image of a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.evaluation.boxes.tide import ImageErrors
from headstart.metrics.boxes.masks import MaskOverlaps
from headstart.metrics.boxes.truth import Truth
from headstart.types import Detections, Sample


def detection_rows(samples: Sequence[Sample], found: Sequence[Detections], truths: Sequence[Truth],
                   errors: Sequence[ImageErrors], *, split: str,
                   overlaps: Sequence[MaskOverlaps] | None = None) -> list[dict[str, Any]]:
    """Return a row for each image: its boxes, scores, labels and kinds of error, and its objects and their state.

    errors: `DetectionEvaluation.errors`. Boxes are (left, top, right, bottom) in pixels of the upright picture, scores
    as the detector gave them; `kinds` and `true_states` are the words of `ImageErrors`. overlaps: of masks, where there
    are some: the rows then have the run lengths of each, and how it lies on each object.
    """
    rows = [{"id": sample.id, "path": str(sample.source) if isinstance(sample.source, Path) else None, "split": split,
             "boxes": said.boxes.astype(np.float64).tolist(), "scores": said.scores.astype(np.float64).tolist(),
             "labels": said.labels.astype(np.int64).tolist(), "kinds": list(error.kinds),
             "true_boxes": true.boxes.tolist(), "true_labels": true.labels.tolist(),
             "true_areas": true.areas.tolist(), "true_crowd": true.crowd.tolist(), "true_states": list(error.objects)}
            for sample, said, true, error in zip(samples, found, truths, errors, strict=True)]
    for row, said, on in zip(rows, found, overlaps or (), strict=False):
        row |= {"masks": [list(mask.counts) for mask in said.masks or ()], "mask_areas": on.areas.tolist(),
                "mask_shares": on.shares.tolist(), "true_mask_areas": on.true_areas.tolist()}
    return rows


def overlaps_in(row: Mapping[str, Any]) -> MaskOverlaps | None:
    """Return how the masks of a row of `detection_rows` lie on the objects; None where it holds no masks."""
    if row.get("mask_shares") is None:
        return None
    true = np.asarray(row["true_mask_areas"], np.float64)
    shares = np.array([list(one) for one in row["mask_shares"]], np.float64).reshape(len(row["mask_areas"]), len(true))
    return MaskOverlaps(shares, np.asarray(row["mask_areas"], np.float64), true)


def detections_in(row: Mapping[str, Any]) -> Detections:
    """Return the detections that a row of `detection_rows` holds."""
    return Detections(_boxes(row["boxes"], np.float32), np.asarray(row["scores"], np.float32),
                      np.asarray(row["labels"], np.int64))


def truth_in(row: Mapping[str, Any]) -> Truth:
    """Return the objects that a row of `detection_rows` holds."""
    ignored = np.array([state == "ignored" for state in row["true_states"]], bool)
    return Truth(_boxes(row["true_boxes"], np.float64), np.asarray(row["true_labels"], np.int64),
                 np.asarray(row["true_areas"], np.float64), np.asarray(row["true_crowd"], bool), ignored)


def _boxes(values: Sequence[Sequence[float]], dtype: type) -> np.ndarray:
    return np.array([list(box) for box in values], dtype).reshape(-1, 4)
