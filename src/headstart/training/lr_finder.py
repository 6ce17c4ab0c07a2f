"""Learning-rate finder: try rising rates for a few steps, and see where the loss is lowest before it blows up."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from headstart import seeds
from headstart.events import RatesTried
from headstart.training.loading import Examples, train_loader
from headstart.training.order import Order

if TYPE_CHECKING:
    from headstart.training.learner import Learner

STEPS = 60
"""Steps of the trial."""
LOW, HIGH = 1e-2, 1e2
"""First and last factor on the plan's learning rates."""
SMOOTH = 0.9
"""Share of the running mean of the loss that a step keeps."""
BLOWN = 4.0
"""The trial ends where the smoothed loss is this many times its lowest."""
BACK = 10.0
"""The choice lies this far below the factor of the lowest loss: there the loss falls steeply and is far from rising."""


@dataclass(frozen=True)
class Tried:
    """What the trial saw."""

    factors: list[float]
    losses: list[float]
    """Smoothed training loss at each factor."""

    @property
    def chosen(self) -> float:
        """The factor of the lowest smoothed loss, divided by 10, within the range that was tried."""
        return max(self.factors[0], self._lowest / BACK)

    @property
    def at_edge(self) -> bool:
        """Whether the lowest loss lies at either end of what was tried, or the choice would lie below it."""
        return self._lowest / BACK < self.factors[0] or self._lowest >= HIGH * (1 - 1e-9)

    @property
    def _lowest(self) -> float:
        """The factor of the lowest smoothed loss."""
        return self.factors[min(range(len(self.losses)), key=self.losses.__getitem__)]

    def record(self) -> dict[str, list[float]]:
        """Return what a checkpoint keeps."""
        return {"factors": self.factors, "losses": self.losses}

    def event(self, method: str) -> RatesTried:
        """Return what the listeners are told."""
        return RatesTried(method, tuple(self.factors), tuple(self.losses), self.chosen)


def search(learner: Learner, images: Examples) -> Tried:
    """Return the losses at factors from 0.01 to 100 on the plan's rates; it changes the weights, see `undone`.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3; the choice a tenth
    of the rate with the lowest loss is the rule of thumb of the fastai course.
    """
    seed, size = learner.context.seed, learner.plan.batch_size
    order = Order(len(images), size, STEPS, seed=seeds.derive(seed, "lr finder"), drop_single=learner.order.drop_single,
                  probabilities=learner.order.probabilities, groups=learner.order.groups)
    factors: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, items in enumerate(itertools.islice(train_loader(images, order, workers=0, pinned=False), STEPS)):
        learner.stop.raise_if_requested(f"{learner.plan.part_name}, learning-rate finder")
        torch.manual_seed(seeds.derive(seed, "lr finder", number))
        factor = LOW * (HIGH / LOW) ** (number / (STEPS - 1))
        learner.set_rates(factor)
        mean = SMOOTH * mean + (1 - SMOOTH) * learner.gradient(learner.lesson.batch(items))
        smoothed = mean / (1 - SMOOTH ** (number + 1))
        if not math.isfinite(smoothed) or smoothed > BLOWN * min(losses, default=math.inf):
            break
        factors.append(factor)
        losses.append(smoothed)
        torch.nn.utils.clip_grad_norm_(learner.learning, learner.plan.clip_norm)
        learner.optimizer.step()
    return Tried(factors or [1.0], losses or [math.inf])
