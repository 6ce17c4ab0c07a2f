"""Calibration of a detector's scores: are of the boxes with score 0.7 seven in ten right?

# N images, D detections, R weightings, 15 bins
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.metrics.boxes.matching import Matches
from headstart.metrics.calibrated import BINS, bin_of


def counted(matches: Matches) -> np.ndarray:
    """Return int64, the rows of the detections that are right or wrong at the first threshold, whatever their size."""
    return np.flatnonzero(~matches.ignored[0, 0])


def calibration_scorer(matches: Matches) -> Callable[[np.ndarray], np.ndarray]:
    """Return a call from weights float64 [R, N] to float64 [R]: the expected calibration error of all detections.

    sum_b |sum_d w_d (score_d - right_d)| / sum_d w_d over the bins b of the score; NaN without detections.
    Source: Küppers et al., "Multivariate Confidence Calibration for Object Detection", CVPRW 2020, equation 5, with
    the score alone.
    """
    rows = counted(matches)
    score, image = matches.score[rows], matches.image[rows]
    gaps = np.zeros((matches.images, BINS))
    np.add.at(gaps, (image, bin_of(score)), score - matches.hit[0, 0, rows])
    each = np.bincount(image, minlength=matches.images).astype(np.float64)

    def score_all(weights: np.ndarray) -> np.ndarray:
        total = weights @ each
        return np.divide(np.abs(weights @ gaps).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0)
    return score_all


def calibration_bins(matches: Matches) -> dict[str, Any]:
    """Return {"bins": [{low, high, count, confidence, accuracy}]}, 15 of equal width; null where a bin is empty."""
    rows = counted(matches)
    score, right = matches.score[rows], matches.hit[0, 0, rows]
    where = bin_of(score)
    count, sure, good = (np.bincount(where, weights=values, minlength=BINS)
                         for values in (np.ones(len(rows)), score, right.astype(np.float64)))
    return {"bins": [{"low": b / BINS, "high": (b + 1) / BINS, "count": float(count[b]),
                      "confidence": float(sure[b] / count[b]) if count[b] else None,
                      "accuracy": float(good[b] / count[b]) if count[b] else None} for b in range(BINS)]}
