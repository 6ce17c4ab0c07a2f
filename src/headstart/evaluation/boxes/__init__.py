"""Evaluation of detection: intervals, curves, thresholds, confusion, kinds of error, calibration, comparison."""

from headstart.evaluation.boxes.decisions import choose_detection_thresholds
from headstart.evaluation.boxes.evaluate import (
    DetectionEvaluation,
    Pixels,
    compare_detections,
    evaluate_detections,
    pixels_of,
)
from headstart.evaluation.boxes.rows import detection_rows, detections_in, overlaps_in, truth_in
from headstart.evaluation.boxes.tide import ImageErrors

__all__ = ["DetectionEvaluation", "ImageErrors", "Pixels", "choose_detection_thresholds", "compare_detections",
           "detection_rows", "detections_in", "evaluate_detections", "overlaps_in", "pixels_of", "truth_in"]
