"""Guarding: that no method ends worse than it began, and none builds on answers that are hardly more than guessing."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.domains.judging import groundless, verdict, verdicts
from headstart.domains.shares import (
    POSSIBLE,
    WEIGHED,
    ground,
    lost,
    mix_moved,
    not_to_be_judged,
    other_shares,
    shares_told,
)
from headstart.domains.sight import Sight
from headstart.events import Judged, Note
from headstart.label_shift import OTHER
from headstart.methods.method import Context
from headstart.model import Model
from headstart.validators.validator import NONE, USUAL, Evidence

AGREEING, NORM = "neighbour_agreement", "batch_nuclear_norm"
PLACES = "reverse_validation"
"""The validator that judges segmenters and detectors where none is named. Neighbour agreement, a part of `consistency`,
likes answers that are the same all over a picture: on dusk views of CamVid it held a teacher for better that had lost
0.05 of mean IoU, which the way back to the source's masks saw (0.70 before, 0.63 after)."""


@dataclass(frozen=True)
class Judgement:
    """Whether adapted answers are believed."""

    taken: bool
    told: str
    """What was held against what, such as `consistency 0.5808 before, 0.6012 after`, or why nothing was."""


def keep_better(name: str, start: Model, adapted: Model, seen: Sight, context: Context, *, guard: str,
                like_shares: bool = True) -> Model:
    """Return the adapted model, or the start where the guard holds that for better: none is better than negative
    transfer.

    name: of the method. guard: name of a validator; NONE keeps the adapted one whatever it is like. like_shares: as
    `TargetMethod.like_shares`.
    """
    first, second = seen.pair(start, adapted)
    context.listen(Judged(name, 0, verdicts(first)))
    context.listen(Judged(name, None, verdicts(second)))
    if guard == NONE:
        return adapted
    changed = float((first.target_logits.argmax(1) != second.target_logits.argmax(1)).mean())
    if not changed:
        context.listen(Note(f"{name}: changes no answer on the target, so that the model is kept as it was before"))
        return start
    found = judged(first, second, guard, like_shares=like_shares)
    if found.taken:
        context.listen(Note(f"{name}: kept, {found.told}; {changed:.1%} of the target's {seen.what} changed"))
        return adapted
    context.listen(Note(f"{name}: the target's images speak against it ({found.told}; {changed:.1%} of the target's "
                        f"{seen.what} changed), so that the model is kept as it was before. --set method.{name}."
                        "guard=none takes it all the same.", "warning"))
    return start


def judged(first: Evidence, second: Evidence, guard: str, *, like_shares: bool) -> Judgement:
    """Return whether adapted answers are believed. first: of the start; second: of the adapted model.

    They are where the guard's score rose. The usual guard is right only where the target shows the classes in about the
    source's shares: reverse validation prefers answers that spread over all of them. Where others are seen, a method
    that presupposes like ones is not believed, and of any other the nuclear norm of the answers must rise, which falls
    where classes get lost. Where they may be others, neighbours must agree more as well, whatever the way back says.
    """
    validators = [guard]
    if guard == USUAL and lost(first):
        # Where all images have one answer, nowhere do neighbours agree more; but it teaches nothing.
        validators += [WEIGHED] if mix_moved(first) >= OTHER else []
    elif guard == USUAL and other_shares(first):
        if not_to_be_judged(first, like_shares=like_shares):
            why = "it presupposes like ones" if like_shares else "that is too unsure to judge it by"
            return Judgement(False, f"{shares_told(first)}, and {why}")
        validators = [NORM]
    elif guard == USUAL and mix_moved(first) >= POSSIBLE:
        validators += [AGREEING]
    told = []
    for name in validators:
        old, new = verdict(name, first), verdict(name, second)
        told.append(f"{name} {old:.4f} before, {new:.4f} after")
        if not new > old:  # NaN tells nothing, and what tells nothing speaks for no change
            return Judgement(False, told[-1])
    return Judgement(True, " and ".join(told))


def has_ground(name: str, start: Model, seen: Sight, context: Context, *, guard: str, needed: bool) -> bool:
    """Return whether the start's answers on the target are more than guessing, or that is not needed; say where not."""
    first = seen.of(start)
    share, enough = ground(first, guard)
    if enough:
        return True
    if not needed:
        context.listen(Note(f"{groundless(name, share)} It does not build on them, and goes on.", "warning"))
        return True
    context.listen(Judged(name, 0, verdicts(first)))
    context.listen(Note(f"{groundless(name, share)} The model is kept as it was before; --set method.{name}."
                        "guard=none takes what comes.", "warning"))
    return False
