"""Rank: which pretrained model suits these data best, as far as can be told without training any."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from headstart.errors import ConfigError, nearest
from headstart.events import Listen, Note
from headstart.scores.score import SCORES
from headstart.selection.candidates import Candidate
from headstart.selection.evidence import DEFAULT, bounded, ranks
from headstart.selection.pool import Pool
from headstart.selection.race import Runner, race
from headstart.selection.ranking import Ranked, Ranking, few

MOST = 2000
"""Images that are read at most, of each class its share: more would hardly change the order."""


def rank(pool: Pool, candidates: Sequence[Candidate], *, listen: Listen, score: str = DEFAULT,
         others: Sequence[str] = (), most: int = MOST,
         remaining: Callable[[], float] = lambda: float("inf")) -> Ranking:
    """Return the candidates in the order in which they are expected to do after adapting.

    score: `default`, or a name of `scores/`; others: more scores to tell beside it. most: images to read at most.
    Raises ConfigError for an unknown score, or where no candidate could be judged.
    """
    refuse_unknown(score, *others)
    began = time.monotonic()
    runners = [Runner(candidate) for candidate in candidates]
    race(runners, pool, most=most, score=score, others=others, listen=listen, remaining=remaining)
    classes = len(pool.images.classes)
    ranking = Ranking(pool.job.data, pool.known_to(), score, max((runner.images for runner in runners), default=0),
                      classes, round(time.monotonic() - began, 3), _ranked(runners, classes),
                      {runner.candidate.name: runner.failure for runner in runners if runner.failure},
                      multilabel=pool.images.task == "multilabel")
    _tell(ranking, listen)
    return ranking


def refuse_unknown(*names: str) -> None:
    """Raise ConfigError for a name that is no score."""
    for name in names:
        if name != DEFAULT and name not in SCORES.names():
            raise ConfigError(f'unknown score "{name}".' + nearest(name, [DEFAULT, *SCORES.names()]))


def _ranked(runners: Sequence[Runner], classes: int) -> tuple[Ranked, ...]:
    judged = [runner for runner in runners if runner.evidence and not runner.failure]
    for images in {runner.images for runner in judged}:
        heat = [runner for runner in judged if runner.images == images]
        for runner, evidence in zip(heat, bounded([r.evidence for r in heat if r.evidence]), strict=True):
            runner.evidence = evidence
    judged.sort(key=lambda runner: (-runner.images, -_value(runner)))
    intervals: dict[int, tuple[int, int]] = {}
    for images in {runner.images for runner in judged}:
        # Who ran on in a later heat ran in this one as well, but its value is from more images by now: those that
        # stayed behind are compared among themselves, below all who went on.
        heat = [runner for runner in judged if runner.images == images]
        ahead = sum(runner.images > images for runner in judged)
        # Resamples of a handful of images are all alike: they would tell a certainty that is not there.
        spans = [(1, len(heat))] * len(heat) if few(images, classes) else \
            ranks([r.evidence for r in heat if r.evidence])
        for runner, (low, high) in zip(heat, spans, strict=True):
            intervals[id(runner)] = low + ahead, high + ahead
    fastest: dict[int, bool] = {}
    for runner in judged:
        fastest[id(runner)] = not any(_dominates(other, runner) for other in judged)
    return tuple(_record(runner, place, intervals[id(runner)], runner.sent_off, fastest[id(runner)])
                 for place, runner in enumerate(judged, start=1))


def _value(runner: Runner) -> float:
    assert runner.evidence is not None, "judged"
    return runner.evidence.value


def _dominates(other: Runner, runner: Runner) -> bool:
    """Return whether `other` is better in one of probe accuracy and speed, and worse in none: as the page draws it."""
    assert other.cost is not None, "judged"
    assert runner.cost is not None, "judged"
    assert other.evidence is not None, "judged"
    assert runner.evidence is not None, "judged"
    mine = runner.evidence.accuracy, runner.cost.images_per_second
    its = other.evidence.accuracy, other.cost.images_per_second
    return its[0] >= mine[0] and its[1] >= mine[1] and its != mine


def _record(runner: Runner, place: int, interval: tuple[int, int], eliminated: bool, frontier: bool) -> Ranked:
    candidate, evidence, cost = runner.candidate, runner.evidence, runner.cost
    assert evidence is not None, "judged"
    assert cost is not None, "judged"
    spec = candidate.spec
    return Ranked(
        name=candidate.name, architecture=spec.architecture, size=candidate.size or spec.preprocessing.size,
        own_size=candidate.size is None, rank=place, rank_low=interval[0], rank_high=interval[1],
        value=evidence.value, accuracy=evidence.accuracy, accuracy_low=evidence.interval[0],
        accuracy_high=evidence.interval[1], images=runner.images, eliminated=eliminated, scores=dict(runner.scores),
        top1=spec.top1, parameters=cost.parameters, gmacs=cost.gmacs, images_per_second=cost.images_per_second,
        training_mb=cost.training_mb, width=runner.width, license=spec.license, seconds=runner.seconds,
        frontier=frontier)


def _tell(ranking: Ranking, listen: Listen) -> None:
    best = ranking.best
    ties = [item.name for item in ranking.tied if item is not best]
    said = f"{best.name} ranks first of {len(ranking.candidates)}: a linear probe on its features is right in " \
           f"{best.accuracy:.1%} of {ranking.judged_on} ({best.accuracy_low:.1%} to {best.accuracy_high:.1%})."
    if ranking.too_few:
        said += f" {ranking.images} images of {ranking.classes} classes are too few to rank: any may be the best."
    elif ties:
        said += f" These images can't tell it from {', '.join(ties[:3])}" + (" and others." if len(ties) > 3 else ".")
    listen(Note(said))
