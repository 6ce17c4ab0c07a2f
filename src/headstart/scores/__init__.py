"""Scores: one file for each way to tell, without training, how well features suit labels."""

NOT_PARTS = ("prediction", "spectrum")
