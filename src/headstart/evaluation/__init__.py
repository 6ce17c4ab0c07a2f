"""Evaluation: metrics with intervals, calibration, comparison of runs, the overfitting watch."""
