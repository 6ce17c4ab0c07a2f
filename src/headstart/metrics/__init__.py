"""Metrics: their names, directions and ranges, and their values on weighted samples, many weightings at once."""

from headstart.metrics.compute import compute, scorer
from headstart.metrics.registry import METRICS, Metric, metric, names_for

__all__ = ["METRICS", "Metric", "compute", "metric", "names_for", "scorer"]
