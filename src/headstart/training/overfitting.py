"""Overfitting, acted upon: the watch reads the curves after each epoch, and the plan says what follows.

    level   augmentation            drop path          weight decay
    0       as the plan says        as the plan says   as the plan says
    1       one level up            + 0.1              x 3
    2       two levels up           + 0.2              x 9

Raising a level goes back to the best weights, with fresh moments; the rest of the epochs follow at the schedule's
rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.events import Note
from headstart.training import snapshot
from headstart.training.watch import watch

if TYPE_CHECKING:
    from headstart.training.learner import Learner

LEVELS = 2
DROP_PATH, DECAY = 0.1, 3.0


def act(learner: Learner) -> None:
    """Ask the watch at the end of an epoch, and do what `on_overfit` says."""
    state, plan, listen = learner.state, learner.plan, learner.context.listen
    if plan.on_overfit == "report" or state.finished:
        return
    since = state.interventions[-1]["epoch"] if state.interventions else 0
    # The loss is in every row anyway; beside it the watch looks at a metric.
    name = learner.task.monitor if learner.watched.name == "loss" else learner.watched.name
    found = watch([row for row in state.history if row["epoch"] > since], name)
    if found.verdict != "overfitting":
        return
    if plan.on_overfit == "stop":
        state.finished = True
        listen(Note(f"{plan.part_name}: stopped after epoch {state.epoch}. {found.text}", "warning"))
    elif state.level < LEVELS:
        _raise_level(learner, found.text)


def apply(learner: Learner) -> None:
    """Set drop path and weight decay to what the level asks for; the images are augmented by it where they are made."""
    plan, level = learner.plan, learner.state.level
    if not level:
        learner.network.set_drop_path(plan.drop_path)
    else:
        # An architecture without residual branches has the other two means.
        learner.network.backbone.set_drop_path(min(0.9, plan.drop_path + DROP_PATH * level))
    for group in learner.optimizer.param_groups:
        group["weight_decay"] = group["own_decay"] * DECAY ** level


def outcome(learner: Learner) -> str | None:
    """Return in words whether raising the regularisation helped; None where it was not raised."""
    state, name, best = learner.state, learner.watched.name, learner.state.best
    if not state.interventions or best is None:
        return None
    first = state.interventions[0]
    helped = learner.watched.better((best.metric, best.loss), (first["metric"], first["loss"]))
    return (f"{learner.plan.part_name}: regularisation was raised {state.level} time(s), first after epoch "
            f"{first['epoch']:.0f}. Best on validation before: {name} {first['metric']:.4f}, loss {first['loss']:.4f}; "
            f"after: {name} {best.metric:.4f}, loss {best.loss:.4f}. It {'helped' if helped else 'did not help'}.")


def _raise_level(learner: Learner, why: str) -> None:
    state, best = learner.state, learner.state.best
    assert best is not None, "training begins with a validation"
    state.interventions.append({"epoch": state.epoch, "metric": best.metric, "loss": best.loss})
    # The best epoch may be this very one, whose checkpoint is written only after this.
    now = best.checkpoint == learner.checkpoints.next
    learner.network.load_state_dict(dict(learner.kept.state_dict()) if now else
                                    snapshot.kept_weights(learner.checkpoints.read(best.checkpoint)))
    if learner.averaging is not None:
        learner.averaging.restart()
    learner.optimizer.state.clear()
    state.taken = state.stale = state.waiting = 0
    learner.context.listen(Note(f"{learner.plan.part_name}: {why} Going back to the weights of epoch {best.epoch} with "
                                f"regularisation level {state.level} of {LEVELS}.", "warning"))
