"""Distances: one file for each way to measure how far two sets of feature vectors lie apart."""

NOT_PARTS = ("by_class",)
