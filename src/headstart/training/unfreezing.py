"""Unfreezing: stage by stage from the head down, on a fixed schedule or whenever validation stalls.

Source: Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.events import Note
from headstart.training.state import State

if TYPE_CHECKING:
    from headstart.training.learner import Learner


def advance(learner: Learner) -> None:
    """Free the next stage at the end of an epoch, if it is time to."""
    state, plan, network = learner.state, learner.plan, learner.network
    if state.finished or state.thawed is None or state.thawed >= network.reachable:
        return
    due = {"fixed": state.epoch % plan.unfreeze_every == 0,
           "plateau": state.waiting >= plan.unfreeze_every}[plan.unfreeze]
    if not due:
        return
    state.thawed += 1
    # What was freed gets its chance before patience counts.
    state.waiting = state.stale = 0
    network.thaw(state.thawed)
    learner.context.listen(Note(f"{plan.part_name}: from epoch {state.epoch + 1} on the {state.thawed} deepest of "
                                f"{len(network.backbone.stages())} stages train"))


def columns(state: State) -> dict[str, float]:
    """Return the column of the history that says how far it has come."""
    return {} if state.thawed is None else {"stages": state.thawed}
