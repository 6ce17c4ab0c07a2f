"""The one decode path: from an encoded file to pixels, the same for training, evaluation, prediction and serving."""

from __future__ import annotations

import numpy as np

from headstart.types import ImageSource


def decode(source: ImageSource, *, channels: int = 3, background: int = 255) -> np.ndarray:
    """Return uint8 [H, W, channels], upright. To be written by the data helper."""
    raise NotImplementedError
