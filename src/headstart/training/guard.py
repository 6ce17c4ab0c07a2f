"""Guard: a NaN or an infinity never reaches the weights, let alone a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


class NonFinite(Exception):
    """A loss, gradient or weight is NaN or infinite."""

    def __init__(self, what: str, *, indices: tuple[int, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.indices = indices
        """Positions in the training split of the batch's samples."""


def check_number(what: str, value: float, indices: Iterable[int] = ()) -> None:
    """Raise NonFinite unless `value` is finite."""
    if not math.isfinite(value):
        raise NonFinite(f"{what} is {value}", indices=tuple(indices))


def check_tensors(tensors: dict[str, torch.Tensor]) -> None:
    """Raise NonFinite naming the first tensor that holds a NaN or an infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NonFinite(f"weight {name} is not finite")
