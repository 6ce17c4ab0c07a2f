"""Evaluation of semantic segmentation: metrics with intervals, by class and by image, and paired comparison."""

from headstart.evaluation.masks.evaluate import MaskEvaluation, compare_masks, evaluate_masks
from headstart.evaluation.masks.measures import NAMES, Measures, measures_in

__all__ = ["NAMES", "MaskEvaluation", "Measures", "compare_masks", "evaluate_masks", "measures_in"]
