"""Evaluation of semantic segmentation: metrics with intervals, by class and by image, and paired comparison."""

from headstart.evaluation.masks.evaluate import MaskEvaluation, compare_masks, evaluate_masks

__all__ = ["MaskEvaluation", "compare_masks", "evaluate_masks"]
