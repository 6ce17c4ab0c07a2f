"""Metrics of detection: boxes against boxes, matched once, and counted on many weightings of the images."""

from headstart.metrics.boxes.masks import PANOPTIC, MaskOverlaps, mask_overlaps, segments
from headstart.metrics.boxes.matching import Matches, match
from headstart.metrics.boxes.precision import (
    MASK,
    MASK_NAMES,
    NAMES,
    detection_metrics,
    detection_scorer,
    over_classes,
)
from headstart.metrics.boxes.truth import Truth, truth_of, truths_of

__all__ = ["MASK", "MASK_NAMES", "NAMES", "PANOPTIC", "MaskOverlaps", "Matches", "Truth", "detection_metrics",
           "detection_scorer", "mask_overlaps", "match", "over_classes", "segments", "truth_of", "truths_of"]
