"""Metrics of detection: boxes against boxes, matched once, and counted on many weightings of the images."""

from headstart.metrics.boxes.matching import Matches, match
from headstart.metrics.boxes.precision import NAMES, detection_metrics, detection_scorer, over_classes
from headstart.metrics.boxes.truth import Truth, truth_of, truths_of

__all__ = ["NAMES", "Matches", "Truth", "detection_metrics", "detection_scorer", "match", "over_classes",
           "truth_of", "truths_of"]
