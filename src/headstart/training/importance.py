"""Importance: how much a network's answers hang on each of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable

import torch

from headstart.tasks.task import ImageTask
from headstart.training.batch_norm import adapt_statistics
from headstart.training.network import Network

# B images, C classes


def fisher(start: Network, task: ImageTask, names: Collection[str], batches: Callable[[], Iterable[torch.Tensor]], *,
           restated: bool = False) -> dict[str, torch.Tensor]:
    """Return the diagonal of the Fisher information, by the name of each parameter, float32 of its shape.

    The mean over images of the squared gradient of the loss against the network's own answer, in eval mode.
    batches: gives float32 [B, channels, H, W], normalised, on the network's device; the same each time.
    restated: whether BatchNorm has the statistics of these images, as it has where it takes those of what it sees.
    Source: as for `regularisers.ewc`.
    """
    network = copy.deepcopy(start).eval()
    if restated and sum(len(batch) for batch in batches()) > 1:  # one image has no statistics
        adapt_statistics(network.backbone, batches())
    learned = {name: parameter.requires_grad_(name in names) for name, parameter in network.named_parameters()}
    learned = {name: learned[name] for name in names}
    total, count = {name: torch.zeros_like(parameter) for name, parameter in learned.items()}, 0
    for image in (image for batch in batches() for image in batch.split(1)):
        logits = network(image).float()
        loss = task.loss(logits, _own(task, logits.detach())).sum()
        gradients = torch.autograd.grad(loss, list(learned.values()), allow_unused=True)
        for name, gradient in zip(learned, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        count += 1
    return {name: squares / count for name, squares in total.items()}


def _own(task: ImageTask, logits: torch.Tensor) -> torch.Tensor:
    """Return the answers as targets: int64 [B], or float32 [B, C] where an image can have several labels."""
    return (logits > 0).float() if task.part_name == "multilabel" else logits.argmax(dim=1)
