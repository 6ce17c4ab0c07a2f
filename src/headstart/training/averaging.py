"""Averaging: the network that holds the mean of the weights, and when it takes them in."""

from __future__ import annotations

import copy

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.averages.average import Average
from headstart.methods.method import Context
from headstart.training.batch_norm import take_statistics
from headstart.training.network import Network
from headstart.training.pictures import Pictures

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
                self.restart()
            else:
                self.average.update([ours[name] for name in names], [theirs[name] for name in names], taken)
        return taken + 1

    def settle(self, pictures: Pictures, context: Context) -> None:
        """Take BatchNorm's statistics anew for the mean, where those of the network move and the average asks for it.

        Source: Izmailov et al., UAI 2018, algorithm 1.
        """
        if self.average.fresh_statistics:
            moving = {name for name, module in self.network.backbone.named_modules()
                      if isinstance(module, _BatchNorm) and module.training}
            if moving:
                take_statistics(self.averaged.backbone, pictures, context, names=moving)

    def restart(self) -> None:
        """Begin with the network's weights, before any set is taken in."""
        self.averaged.load_state_dict(self.network.state_dict())

    def tensors(self) -> Tensors:
        """Return the mean, for a checkpoint."""
        return dict(self.averaged.state_dict())

    def restore(self, tensors: Tensors) -> None:
        """Take up a mean that `tensors` returned."""
        self.averaged.load_state_dict(tensors)
