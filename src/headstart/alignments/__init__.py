"""Alignments: one file for each loss that draws a source and an unlabelled target domain together in training."""
