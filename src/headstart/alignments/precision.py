"""Precision: a pair of batches in float32, whatever the network computes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, overload

import torch

from headstart.alignments.alignment import Pair, View

Forward = Callable[[Any, Pair], torch.Tensor]


def in_float32(forward: Forward) -> Forward:
    """Return `forward(self, pair)` on float32 views and without autocast.

    bfloat16 keeps 8 bits, too few for a covariance, a squared distance or a log-sum-exp. Gradients go through the cast.
    """
    @wraps(forward)
    def exact(self: Any, pair: Pair) -> torch.Tensor:
        with torch.autocast(pair.target.features.device.type, enabled=False):
            return forward(self, replace(pair, source=_cast(pair.source), target=_cast(pair.target),
                                         strong=_cast(pair.strong), reference=_cast(pair.reference)))

    return exact


@overload
def _cast(view: View) -> View: ...
@overload
def _cast(view: None) -> None: ...
def _cast(view: View | None) -> View | None:
    return None if view is None else View(view.features.float(), view.logits.float())
