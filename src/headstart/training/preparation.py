"""Preparation: what a plan wants done before the first step: statistics, the size of a micro-batch, learning rates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from headstart.events import Note
from headstart.training import batch_finder, lr_finder
from headstart.training.batch_norm import adapt_statistics
from headstart.training.loading import train_loader
from headstart.training.order import Order
from headstart.training.pictures import TrainImages

if TYPE_CHECKING:
    from headstart.training.learner import Learner


def prepare(learner: Learner, images: TrainImages) -> None:
    """Do it in that order; a resumed training that has begun finds the results in its state."""
    plan, listen = learner.plan, learner.context.listen
    if plan.batch_norm == "adapt":
        adapted = _adapt_batch_norm(learner, images)
        listen(Note(f"{plan.part_name}: {adapted} BatchNorm layers took the statistics of the training images"
                    if adapted else f"{plan.part_name}: batch_norm=adapt has no effect, there is no BatchNorm"))
    if plan.micro_batch == "auto":
        with undone(learner):
            learner.state.micro_batch = batch_finder.largest(learner)
        listen(Note(f"{plan.part_name}: {learner.state.micro_batch} images go through the network at once, "
                    f"{plan.batch_size} make a step"))
    if plan.find_lr:
        with undone(learner):
            tried = lr_finder.search(learner, images)
        learner.state.found_rate, learner.state.tried = tried.chosen, tried.record()
        listen(tried.event(plan.part_name))
        listen(Note(f"{plan.part_name}: the learning-rate finder chose {tried.chosen:.2g} times the given rates: "
                    f"head {plan.lr_head * tried.chosen:.2g}, backbone {plan.lr_backbone * tried.chosen:.2g}"))


@contextlib.contextmanager
def undone(learner: Learner) -> Iterator[None]:
    """Let everything train for a trial; afterwards weights, moments and sums are as they were."""
    weights = {name: tensor.detach().clone() for name, tensor in learner.network.state_dict().items()}
    learner.network.train()
    try:
        with learner.network.all_thawed():
            yield
    finally:
        learner.network.load_state_dict(weights)
        learner.optimizer.zero_grad(set_to_none=True)
        learner.optimizer.state.clear()
        learner.state.loss_sum = learner.state.weight_sum = 0.0
        learner.watched.reset()


def _adapt_batch_norm(learner: Learner, images: TrainImages) -> int:
    plan, context = learner.plan, learner.context
    order = Order(len(images), plan.batch_size, 1, seed=context.seed, drop_single=True)
    batches = (learner.batch(items).images for items in train_loader(images, order, workers=0, pinned=False))
    with torch.no_grad():
        found = adapt_statistics(learner.network.backbone, batches)
    learner.network.train()
    return found
