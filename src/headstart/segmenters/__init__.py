"""Segmenters: what reads a backbone's maps and answers with the class of each pixel. `segmenter.py` is the contract."""

NOT_PARTS = ("head",)
