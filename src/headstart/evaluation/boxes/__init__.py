"""Evaluation of detection: intervals, curves, thresholds, confusion, kinds of error, calibration, comparison."""
