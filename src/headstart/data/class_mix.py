"""ClassMix: the pixels of half of a picture's classes, laid upon another picture.

Source: Olsson et al., "ClassMix: Segmentation-Based Data Augmentation for Semi-Supervised Learning", WACV 2021; from
one domain upon another: Tranheden et al., "DACS: Domain Adaptation via Cross-domain Mixed Sampling", WACV 2021.
"""

from __future__ import annotations

import numpy as np
import torch

from headstart import seeds
from headstart.types import IGNORED

# C channels, h and w of what is laid upon, H and W of what lies below


def half_of_classes(classes: torch.Tensor, *, seed: int) -> list[int]:
    """Return half of the classes that occur, rounded up, ascending; it depends on the arguments alone.

    classes: uint8 [h, w], class indices or IGNORED, which is none of them.
    """
    found = np.setdiff1d(classes.numpy(), IGNORED)
    drawn = seeds.generator(seed, "half of the classes").permutation(found)[:(len(found) + 1) // 2]
    return sorted(drawn.tolist())


def laid_upon(below: torch.Tensor, image: torch.Tensor, classes: torch.Tensor, *,
              seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return uint8 [C, H, W], the picture below with half of another's classes on it, and uint8 [H, W], the classes of
    what was laid there, IGNORED elsewhere.

    below: uint8 [C, H, W]. image: uint8 [C, h, w]. classes: uint8 [h, w]. Both lie with their upper left corners upon
    each other, and the classes are those that occur where both have pixels.
    """
    high, wide = (min(sides) for sides in zip(below.shape[-2:], image.shape[-2:], strict=True))
    shared = classes[:high, :wide]
    chosen = torch.isin(shared, torch.tensor(half_of_classes(shared, seed=seed), dtype=shared.dtype))
    found, truth = below.clone(), torch.full(below.shape[-2:], IGNORED, dtype=classes.dtype)
    found[:, :high, :wide] = image[:, :high, :wide].where(chosen, found[:, :high, :wide])
    truth[:high, :wide] = shared.where(chosen, truth[:high, :wide])
    return found, truth
