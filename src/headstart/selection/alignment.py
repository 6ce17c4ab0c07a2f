"""Alignment: how well two small pictures agree once one is laid over the other: mirrored, moved, scaled, turned."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

# P pairs, S pixels a side, A starts

STARTS = [(side, math.log(scale)) for side in (1.0, -1.0) for scale in (0.87, 1.0, 1.15)]
"""Not mirrored, then mirrored (-1), each with the logarithms of the scales that the search begins with."""
SCALE, TURN, SHIFT = math.log(1.35), math.radians(8), 0.3
"""How far it may go: factor of each side, angle, and share of half a side."""
STEPS, RATE = 40, 0.1
BLUR = 2.5
"""Standard deviation in pixels of the blur that is taken off: what is left is structure, not light and shade."""
PAIRS = 256
"""Pairs that are aligned at a time."""


def aligned_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float32 [P, 2] in -1..1: how well the structure of each pair agrees in its best alignment.

    In the first column without a mirror, in the second one with it. first, second: uint8 [P, S, S], grey. The search
    is by gradient (Adam) from six starts, and gives the same each time. Idea: Evangelidis and Psarakis, "Parametric
    Image Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 2008.
    """
    found = [_align(first[start:start + PAIRS], second[start:start + PAIRS]) for start in range(0, len(first), PAIRS)]
    return np.concatenate(found) if found else np.zeros((0, 2), np.float32)


def _align(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    moving, still = (_structure(side).repeat_interleave(len(STARTS), 0) for side in (first, second))
    sides, scales = torch.tensor(STARTS).repeat(len(first), 1).unbind(1)
    # Log scales of width and height, angle, shifts; each within its bound by a tanh.
    free = torch.zeros(len(moving), 5)
    free[:, 0] = free[:, 1] = torch.atanh(scales / SCALE)
    free.requires_grad_(True)
    best = torch.full((len(moving),), -1.0)
    optimizer = torch.optim.Adam([free], lr=RATE)
    for _ in range(STEPS):
        correlation = _correlation(moving, still, _transform(free, sides))
        best = torch.maximum(best, correlation.detach())
        optimizer.zero_grad()
        (-correlation.sum()).backward()
        optimizer.step()
    return np.asarray(best.view(len(first), 2, -1).amax(2).numpy())


def _structure(pictures: np.ndarray) -> torch.Tensor:
    """Return float32 [P, 1, S, S]: the pictures without what a blur leaves of them."""
    reach = math.ceil(1.6 * BLUR)
    kernel = torch.exp(-torch.arange(-reach, reach + 1.0) ** 2 / (2 * BLUR**2))
    kernel /= kernel.sum()
    sharp = torch.from_numpy(pictures.astype(np.float32)).unsqueeze(1)
    padded = functional.pad(sharp, (reach,) * 4, mode="replicate")
    return sharp - functional.conv2d(functional.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def _transform(free: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
    """Return float32 [P * A, 2, 3] for `affine_grid`. free: float32 [P * A, 5]. sides: 1, or -1 for a mirror."""
    bounded = torch.tanh(free)
    width, height = sides * torch.exp(SCALE * bounded[:, 0]), torch.exp(SCALE * bounded[:, 1])
    cosine, sine = torch.cos(TURN * bounded[:, 2]), torch.sin(TURN * bounded[:, 2])
    across, down = (SHIFT * bounded[:, place] for place in (3, 4))
    return torch.stack([cosine * width, -sine * height, across, sine * width, cosine * height, down], 1).view(-1, 2, 3)


def _correlation(moving: torch.Tensor, still: torch.Tensor, transform: torch.Tensor) -> torch.Tensor:
    """Return float32 [P * A]: the correlation over the part that both pictures show."""
    grid = functional.affine_grid(transform, list(still.shape), align_corners=False)
    moved = functional.grid_sample(moving, grid, align_corners=False)
    shared = (grid.abs() <= 1).all(dim=-1).unsqueeze(1).to(still.dtype)
    count = shared.sum((2, 3), keepdim=True).clamp(min=1)
    x, y = (shared * (side - (side * shared).sum((2, 3), keepdim=True) / count) for side in (moved, still))
    norms = ((x * x).sum((1, 2, 3)) * (y * y).sum((1, 2, 3))).clamp(min=1e-6).sqrt()
    return (x * y).sum((1, 2, 3)) / norms
