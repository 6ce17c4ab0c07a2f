"""Shares: whether a target seems to show the classes in other shares than the source, or to lack some.

It decides what can be believed of answers there: what brings two sets together as wholes mixes up classes of which one
has more than the other, and answers that crowd on few classes are right where these are all that is there.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from headstart.domains.judging import carried, verdict
from headstart.errors import DataError
from headstart.label_propagation import handed_on
from headstart.label_shift import OTHER, SMALLEST, bbse, moved
from headstart.probabilities import softened
from headstart.round_trip import way_back
from headstart.validators.validator import USUAL, Evidence

WEIGHED = "weighted_reverse_validation"
POSSIBLE = 0.22
"""Share of the images that would have to change class from which on shares may be others; from OTHER on they are."""
GROUND, SKEWED_GROUND = 0.25, 0.5
"""Share of what a model knows beyond guessing that must carry over to the target for its answers to be built upon; and
where the shares seem to be others, since answers that crowd on few classes lead back to these whatever they show."""
CHANCES = 2.0
"""By how much it must exceed what chance alone brings among so many images."""
CROWDED = 0.8
"""Share of the answers that are one class from which on they tell nothing of shares."""


def not_to_be_judged(first: Evidence, *, like_shares: bool) -> bool:
    """Return whether nothing can judge a method where the shares seem to be others: it presupposes like ones, or they
    are not so far apart that it is sure."""
    return like_shares or mix_moved(first) < OTHER


def shares_told(first: Evidence) -> str:
    """Return in words that the shares of the classes seem to be others, and by how much."""
    return ("the target's classes seem to stand in other shares than the source's, for which "
            f"{mix_moved(first):.0%} of the images would have to change class")


def lost(first: Evidence) -> bool:
    """Return whether answers tell nothing of shares: nearly all are one class, or nothing known carries over."""
    crowd = np.bincount(first.target_logits.argmax(axis=1)).max() / len(first.target_logits)
    return bool(crowd >= CROWDED or carried(first) <= 0)


def other_shares(first: Evidence) -> bool:
    """Return whether the target seems to show the classes in other shares than the source.

    By how many images would have to change class. Where that many would in a domain that only looks different, too, the
    images are asked: answers that are handed on among those that look alike come closer to the shares that are there.
    Where these are others, they then teach the source's classes, weighed alike, better than before; else worse.
    """
    apart = mix_moved(first)
    if lost(first) or apart < max(POSSIBLE, CHANCES * by_chance(first)):
        return False
    return apart >= OTHER or first.once("way back of neighbours", lambda: _of_neighbours(first)) > verdict(WEIGHED,
                                                                                                            first)


def by_chance(first: Evidence) -> float:
    """Return the share of as many images as the target has, of the source's classes by chance, that would have to
    change class on average: half the mean absolute deviation of normal counts."""
    own = np.bincount(first.source_labels) / len(first.source_labels)
    return float(np.sqrt(own * (1 - own) / (2 * np.pi * len(first.target_logits))).sum())


def _of_neighbours(first: Evidence) -> float:
    heard = handed_on(first.target_features, softened(first.target_logits, "guard"))
    return verdict(WEIGHED, dataclasses.replace(first, target_logits=np.log(np.maximum(heard, SMALLEST))))


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


def ground(first: Evidence, guard: str) -> tuple[float, bool]:
    """Return how much of what a model knows carries over, as `judging.carried`, and whether that is enough to build on
    its answers. Shares are asked about by the usual guard alone."""
    if guard == USUAL and other_shares(first):
        found = carried(first, weighted=True)
        return found, found >= SKEWED_GROUND
    found = carried(first)
    return found, found >= GROUND


def ways_back(first: Evidence, source: np.ndarray, labels: np.ndarray) -> tuple[float, float | None]:
    """Return how much the answers teach of the source, as `round_trip.way_back`, and the same with the source weighed
    as answered where the target seems to show other shares; None where it does not.

    source: float [S, D] with labels int [S], each image once: evidence may hold one twice, to learn and to judge by.
    """
    answers, classes = first.target_logits.argmax(axis=1), first.target_logits.shape[1]
    plain = way_back(source, labels, first.target_features, answers, classes=classes)
    if not other_shares(first):
        return plain, None
    return plain, way_back(source, labels, first.target_features, answers, classes=classes, weighted=True)
