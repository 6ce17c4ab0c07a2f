"""Kernels: Gaussians of several widths between all images of two batches, and the discrepancy of means under them."""

from __future__ import annotations

import torch

# N = B + T images: B source ones first, then T target ones; D values an image

TINY = 1e-12
"""Least squared width, for batches of equal points."""


def squared_distances(points: torch.Tensor) -> torch.Tensor:
    """Return [N, N] of points [N, D]. Centred first: differences of large squares lose their digits."""
    centred = points - points.mean(dim=0).detach()
    squares = centred.square().sum(dim=1)
    return (squares[:, None] + squares[None, :] - 2 * centred @ centred.T).clamp(min=0)


def gaussians(points: torch.Tensor, *, number: int, ratio: float) -> torch.Tensor:
    """Return [N, N], the mean of `number` kernels exp(-distance^2 / width) of points [N, D].

    The widths are a geometric family, `ratio` apart, around the mean squared distance of two different points; no
    gradient goes through them.
    """
    distances = squared_distances(points)
    count = len(points)
    middle = (distances.detach().sum() / max(count * (count - 1), 1)).clamp(min=TINY)
    return torch.stack([torch.exp(-distances / (middle * ratio ** (step - number // 2)))
                        for step in range(number)]).mean(dim=0)


def mean_discrepancy(kernel: torch.Tensor, sources: int) -> torch.Tensor:
    """Return mean k(s, s') + mean k(t, t') - 2 mean k(s, t) of a kernel [N, N] whose first `sources` rows are source.

    The biased quadratic form: all pairs count, that of an image with itself too. At least 0, 0 for twice the same
    batch, and sound for a single image, which the unbiased form is not.
    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, equation 5.
    """
    return (kernel[:sources, :sources].mean() + kernel[sources:, sources:].mean()
            - 2 * kernel[:sources, sources:].mean())
