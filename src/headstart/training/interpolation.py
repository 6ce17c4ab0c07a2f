"""Interpolation: models between two ends of a training, and the one that validation likes best."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from headstart.data.dataset import Dataset
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.signals import StopSignals
from headstart.training.validation import Judged, Validation
from headstart.training.weights import require_alike, weights_of, with_weights

ALPHAS = tuple(step / 10 for step in range(11))
Table = dict[float, Judged]
"""alpha -> what its model is worth on validation."""


def interpolate(a: Model, b: Model, alpha: float) -> Model:
    """Return the model with the weights (1 - alpha) a + alpha b: `a` itself at 0, `b` itself at 1, bit for bit.

    Every floating tensor of backbone and head is a straight line in float64, BatchNorm's means and variances too: the
    variance in between is not that of the features in between, so that both ends should have the same statistics, as
    after a fine-tuning with batch_norm=frozen. Integer buffers are those of `b`.
    Raises ConfigError for models of other shapes or classes, and for an alpha outside 0..1.
    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), CVPR 2022, equation 1.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha {alpha} must lie in 0..1: 0 is the first model, 1 the second.")
    if a.classes != b.classes:
        raise ConfigError(f"models of other classes have no model in between: {', '.join(a.classes)}; "
                          f"{', '.join(b.classes)}.")
    first, second = weights_of(a), weights_of(b)
    require_alike(first, second, what="interpolate")
    return with_weights(b, {name: _between(first[name], tensor, alpha) for name, tensor in second.items()})


def _between(a: torch.Tensor, b: torch.Tensor, alpha: float) -> torch.Tensor:
    if alpha == 1 or not b.is_floating_point():
        return b
    first = a.to(b.device)
    if alpha == 0:
        return first  # as it is: arithmetic would make 0.0 of -0.0
    start = first.double()
    return (start + alpha * (b.double() - start)).to(b.dtype)


def choose_alpha(start: Model, tuned: Model, val: Dataset, context: Context, *, alphas: Sequence[float] = ALPHAS,
                 monitor: str | None = None) -> tuple[Model, float, Table]:
    """Return the interpolated model that is best on `val`, its alpha, and what each alpha is worth there.

    The best metric wins; of equal ones the lowest loss; of those the smallest alpha, which is nearest to `start`.
    One model is made at a time. Where `context.remaining` is used up, the alphas are tried from `tuned` on as far as
    they get, at least one. Raises as `interpolate`, DataError for an empty `val`, or Interrupted.
    """
    first, second = weights_of(start), weights_of(tuned)
    require_alike(first, second, what="interpolate")
    if all(torch.equal(tensor, second[name].to(tensor.device)) for name, tensor in first.items()):
        alphas = alphas[:1]  # training kept its start: there is nothing in between
    validation = Validation(tuned, val, context, monitor=monitor)
    table: Table = {}
    with StopSignals() as stop:
        for alpha in sorted(alphas, reverse=True):
            stop.raise_if_requested("choosing alpha")
            table[alpha] = validation.judge(interpolate(start, tuned, alpha))
            if context.remaining() <= 0:
                break
    best = min(table)
    for alpha in sorted(table):
        if validation.better(table[alpha], table[best]):
            best = alpha
    return interpolate(start, tuned, best), best, dict(sorted(table.items()))
