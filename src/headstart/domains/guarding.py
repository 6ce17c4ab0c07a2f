"""Guarding: that no method ends worse than it began, and none builds on answers that are hardly more than guessing."""

from __future__ import annotations

from headstart.domains.judging import GROUND, carried, groundless, verdicts
from headstart.domains.sight import Sight
from headstart.events import Judged, Note
from headstart.methods.method import Context
from headstart.model import Model
from headstart.validators.validator import NONE

PLACES = "reverse_validation"
"""The validator that judges segmenters and detectors where none is named. Neighbour agreement, a half of `consistency`,
likes answers that are the same all over a picture: on dusk views of CamVid it held a teacher for better that had lost
0.05 of mean IoU, which the way back to the source's masks saw (0.70 before, 0.63 after)."""


def keep_better(name: str, start: Model, adapted: Model, seen: Sight, context: Context, *, guard: str) -> Model:
    """Return the adapted model, or the start where the guard holds that for better: none is better than negative
    transfer.

    name: of the method. guard: name of a validator; NONE keeps the adapted one whatever it is like.
    """
    first, second = seen.pair(start, adapted)
    before, after = verdicts(first), verdicts(second)
    context.listen(Judged(name, 0, before))
    context.listen(Judged(name, None, after))
    if guard == NONE:
        return adapted
    old, new = before[guard], after[guard]
    changed = float((first.target_logits.argmax(1) != second.target_logits.argmax(1)).mean())
    told = f"{guard} {old:.4f} before, {new:.4f} after; {changed:.1%} of the target's {seen.what} changed"
    if not changed:
        context.listen(Note(f"{name}: changes no answer on the target, so that the model is kept as it was before"))
        return start
    if new > old:  # NaN tells nothing, and what tells nothing speaks for no change
        context.listen(Note(f"{name}: kept, {told}"))
        return adapted
    context.listen(Note(f"{name}: the target's images speak against it ({told}), so that the model is kept as it was "
                        f"before. --set method.{name}.guard=none takes it all the same.", "warning"))
    return start


def has_ground(name: str, start: Model, seen: Sight, context: Context) -> bool:
    """Return whether the start's answers on the target are more than guessing; where not, say that it is kept."""
    first = seen.of(start)
    ground = carried(first)
    if ground >= GROUND:
        return True
    context.listen(Judged(name, 0, verdicts(first)))
    context.listen(Note(f"{groundless(name, ground)} The model is kept as it was before; --set method.{name}."
                        "guard=none takes what comes.", "warning"))
    return False
