"""Preparation: what a plan wants found out before the first step: the size of a micro-batch, learning rates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.events import Note
from headstart.training import batch_finder, lr_finder
from headstart.training.loading import Examples

if TYPE_CHECKING:
    from headstart.training.learner import Learner


def prepare(learner: Learner, images: Examples) -> None:
    """Do it in that order; a resumed training that has begun finds the results in its state."""
    plan, listen = learner.plan, learner.context.listen
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
        backbone = "" if plan.scope == "head" else f", backbone {plan.lr_backbone * tried.chosen:.2g}"
        listen(Note(f"{plan.part_name}: the learning-rate finder chose {tried.chosen:.2g} times the given rates: "
                    f"head {plan.lr_head * tried.chosen:.2g}{backbone}"))
        if tried.at_edge:
            listen(Note(f"{plan.part_name}: the loss was lowest at an end of the rates that were tried, so that better "
                        "ones may lie beyond. Look at the curve in the report, or set the rates yourself.", "warning"))


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
