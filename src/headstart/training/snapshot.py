"""Snapshot: what of a learner stands in a checkpoint besides its weights, and how it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from headstart.sealed import under
from headstart.training.checkpoints import Checkpoint, Tensors
from headstart.training.state import State

if TYPE_CHECKING:
    from headstart.training.learner import Learner

AVERAGE, MONITOR = "average.", "monitor."
"""Prefixes of the tensors of the average and of the watched metric; the others are the optimizer's moments."""
BESIDES = ("plan", "threads", "torch")
"""Entries of a checkpoint's state that are no fields of State."""


def moments(learner: Learner) -> Tensors:
    """Return the optimizer's moments, the watched metric's sums and the average of the weights."""
    found = {f"{key}.{number}": value for number, parameter in enumerate(learner.learning)
             for key, value in learner.optimizer.state.get(parameter, {}).items()}
    found |= {MONITOR + key: value for key, value in learner.watched.tensors().items()}
    if learner.averaging is not None and learner.state.taken:
        found |= {AVERAGE + key: value for key, value in learner.averaging.tensors().items()}
    return found


def kept_weights(checkpoint: Checkpoint) -> Tensors:
    """Return the weights that were validated: those of the average, where there was one by then."""
    return under(AVERAGE, checkpoint.optimizer) or checkpoint.weights


def restore(learner: Learner, checkpoint: Checkpoint) -> None:
    """Go back to what `checkpoint` holds."""
    record = {key: value for key, value in checkpoint.state.items() if key not in BESIDES}
    learner.state = State.of(record)
    learner.network.load_state_dict(checkpoint.weights)
    learner.optimizer.state.clear()
    for name, value in checkpoint.optimizer.items():
        if name.startswith((AVERAGE, MONITOR)):
            continue
        key, _, number = name.partition(".")
        parameter = learner.learning[int(number)]
        # In the parameter's own memory layout: another one would round the sums in another order.
        like = torch.empty_like(parameter) if value.shape == parameter.shape else torch.empty_like(value)
        learner.optimizer.state[parameter][key] = like.copy_(value)
    learner.watched.restore(under(MONITOR, checkpoint.optimizer))
    average = under(AVERAGE, checkpoint.optimizer)
    if learner.averaging is not None:
        learner.averaging.restore(average) if average else learner.averaging.restart()
    learner.enter_level()
