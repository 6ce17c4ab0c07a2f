"""Mask losses: what wrong classes of pixels cost, image by image. `mask_loss.py` is the contract."""

NOT_PARTS = ("overlap",)
