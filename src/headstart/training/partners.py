"""Partners: which image of the target goes with an image of the source, so that both are drawn evenly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from headstart import seeds


def partner(occasion: int, index: int, *, images: int, targets: int, seed: int) -> int:
    """Return the position of the target's image; it depends on the arguments alone.

    Every pass over the target takes each of its images once. images, targets: how many each domain has.
    """
    place = occasion * images + int(_order(seed, "pair", occasion, images)[index])
    pass_, position = divmod(place, targets)
    return int(_order(seed, "target", pass_, targets)[position])


@lru_cache(maxsize=8)
def _order(seed: int, kind: str, number: int, count: int) -> np.ndarray:
    """Return int64 [count], a permutation that depends on the arguments alone."""
    return seeds.generator(seed, kind, number).permutation(count)
