"""Batch-size finder: how many images go through the network at once without running out of memory."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import torch

from headstart.training.memory_faults import is_out_of_memory
from headstart.training.pictures import free_memory

if TYPE_CHECKING:
    from headstart.training.learner import Learner

SHARE = 0.5
"""Part of the free memory that a micro-batch's activations may take; gradients and temporaries come on top."""
PROBED = 2
"""Images on which the memory of an image is measured."""


def largest(learner: Learner) -> int:
    """Return the largest micro-batch, at most the batch, that is expected to fit and did fit when it was tried.

    The bytes that autograd keeps for an image are counted, the size follows from the free memory, and a whole
    forward and backward pass tries it; where memory runs out all the same, half is tried. It changes gradients and
    BatchNorm's statistics, see `preparation.undone`.
    """
    budget = SHARE * available(learner.context.device)
    least = 2 if learner.order.drop_single else 1  # BatchNorm can't learn on one image
    size = min(learner.plan.batch_size, learner.order.count, max(least, int(budget / bytes_per_image(learner))))
    while size > least:
        try:
            learner.state.micro_batch = size
            learner.gradient(learner.lesson.blank(size))
            return size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        size = max(least, size // 2)
        gc.collect()
        if learner.context.device == "cuda":
            torch.cuda.empty_cache()
    return size


def bytes_per_image(learner: Learner) -> float:
    """Return the bytes that a training step keeps of one image between its forward and its backward pass."""
    seen: dict[int, int] = {}
    owned = {tensor.untyped_storage().data_ptr() for tensor in learner.network.state_dict().values()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        learner.state.micro_batch = PROBED
        learner.gradient(learner.lesson.blank(PROBED))
    return max(1.0, sum(seen.values()) / PROBED)


def available(device: str) -> float:
    """Return the free bytes of the device."""
    return float(torch.cuda.mem_get_info()[0]) if device == "cuda" else free_memory()
