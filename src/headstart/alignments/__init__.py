"""Alignments: one file for each loss that draws a source and an unlabelled target domain together in training.

`alignment.py` is the contract.
"""

NOT_PARTS = ("discriminator", "kernels", "precision", "reversal", "uncertainty")
