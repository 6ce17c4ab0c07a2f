"""Guarding: that no method ends worse than it began, and none builds on answers that are hardly more than guessing."""

from __future__ import annotations

import numpy as np

from headstart.domains.judging import GROUND, carried, groundless, verdict, verdicts
from headstart.domains.sight import Sight
from headstart.errors import DataError
from headstart.events import Judged, Note
from headstart.label_shift import OTHER, bbse, moved
from headstart.methods.method import Context
from headstart.model import Model
from headstart.probabilities import harmonic, softened
from headstart.validators.validator import NONE, USUAL, Evidence

WEIGHED, AGREEING = "weighted_reverse_validation", "neighbour_agreement"
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
    doubt = doubted(first, second) if guard == USUAL else ""
    changed = float((first.target_logits.argmax(1) != second.target_logits.argmax(1)).mean())
    told = f"{guard} {old:.4f} before, {new:.4f} after; {changed:.1%} of the target's {seen.what} changed"
    if not changed:
        context.listen(Note(f"{name}: changes no answer on the target, so that the model is kept as it was before"))
        return start
    if new > old and not doubt:  # NaN tells nothing, and what tells nothing speaks for no change
        context.listen(Note(f"{name}: kept, {told}"))
        return adapted
    context.listen(Note(f"{name}: the target's images speak against it ({doubt or told}), so that the model is kept as "
                        f"it was before. --set method.{name}.guard=none takes it all the same.", "warning"))
    return start


def doubted(first: Evidence, second: Evidence) -> str:
    """Return why adapted answers are not believed though `consistency` rose; empty where they may be.

    Where the target seems to show other shares of the classes than the source, reverse validation prefers answers that
    spread over all of them: the weighted one, which does not, must rise as well, and so must its mean with the
    agreement of neighbours, unless the start's answers are worth nothing. first: of the start; second: of the
    adapted model.
    """
    apart = mix_moved(first)
    if apart < OTHER:
        return ""
    said = {WEIGHED: (verdict(WEIGHED, first), verdict(WEIGHED, second))}
    if carried(first) >= GROUND:  # a start of no worth may give all images one answer: nowhere do neighbours agree more
        said[f"{WEIGHED} with {AGREEING}"] = _weighed(first), _weighed(second)
    for name, (old, new) in said.items():
        if not new > old:
            return (f"its classes seem to stand in other shares, {apart:.0%} of the images would have to change class, "
                    f"and {name} says {old:.4f} before, {new:.4f} after")
    return ""


def _weighed(seen: Evidence) -> float:
    """Return at most 1, what `consistency` would say with the weighted way back."""
    return harmonic([verdict(name, seen) for name in (AGREEING, WEIGHED)])


def mix_moved(first: Evidence) -> float:
    """Return the share of the source's images that would have to change class for the target's shares, 0..1.

    By black box shift estimation from the start's answers; 0 where these tell nothing.
    """
    return first.once("mix_moved", lambda: _mix_moved(first))


def _mix_moved(first: Evidence) -> float:
    known, asked = (softened(logits, "guard") for logits in (first.source_logits, first.target_logits))
    own = np.bincount(first.source_labels, minlength=known.shape[1]) / len(first.source_labels)
    try:
        there = bbse(known, first.source_labels, asked, hard=True)
    except DataError:  # the same answer whatever the class
        return 0.0
    return moved(there, own)


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
