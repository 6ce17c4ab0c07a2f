"""Averaging: the network that holds the mean of the weights, and when it takes them in."""

from __future__ import annotations

import copy

import torch

from headstart.averages.average import Average
from headstart.training.network import Network

Tensors = dict[str, torch.Tensor]


class Averaging:
    """A frozen copy of `network` whose weights and buffers are the mean that `average` makes."""

    def __init__(self, network: Network, average: Average) -> None:
        self.network = network
        self.average = average
        self.averaged = copy.deepcopy(network).requires_grad_(False).eval()

    def step(self, step: int, taken: int, *, steps: int, total: int) -> int:
        """Take the weights in after `step` steps if it is time to; return how many sets were taken in by then."""
        if not self.average.due(step, steps=steps, total=total):
            return taken
        ours, theirs = self.averaged.state_dict(), self.network.state_dict()
        names = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        with torch.no_grad():
            if taken == 0:
                self.averaged.load_state_dict(theirs)
            else:
                self.average.update([ours[name] for name in names], [theirs[name] for name in names], taken)
        return taken + 1

    def tensors(self) -> Tensors:
        """Return the mean, for a checkpoint."""
        return dict(self.averaged.state_dict())

    def restore(self, tensors: Tensors) -> None:
        """Take up a mean that `tensors` returned."""
        self.averaged.load_state_dict(tensors)
