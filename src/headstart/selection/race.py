"""Race: all candidates on few images, the better ones on more; each picture is decoded once for each input.

Successive halving (Jamieson & Talwalkar, AISTATS 2016), but nobody is sent off on bad luck: only who is in the worse
half and behind the best by more than the interval of the paired difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType

import numpy as np

from headstart.adaptation import choose_device
from headstart.data.findings import counted
from headstart.errors import HeadstartError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.features.pipeline import Decoded, geometry
from headstart.selection.candidates import Candidate
from headstart.selection.costs import Cost, measure
from headstart.selection.evidence import (
    Evidence,
    Seen,
    bounded,
    clearly_worse,
    judge,
    other_scores,
    source_probabilities,
)
from headstart.selection.pool import Pool, nested

FIRST = 128
"""Images of the first heat, or 8 a class if that is more."""
FACTOR = 4
"""How many times more images the next heat has."""
STEP = "rank"


@dataclass
class Runner:
    """A candidate and what is known of it so far."""

    candidate: Candidate
    images: int = 0
    evidence: Evidence | None = None
    cost: Cost | None = None
    width: int = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""
    sent_off: bool = False
    """Whether it was clearly behind, and saw no more images for that."""
    before: tuple[int, Evidence | None, Mapping[str, float | None]] = (0, None, MappingProxyType({}))
    """Images, evidence and scores of the heat before."""


def heats(images: int, classes: int) -> list[int]:
    """Return the number of images of each heat; the last one has all."""
    sizes, size = [], max(FIRST, 8 * classes)
    while size * 2 <= images:
        sizes.append(size)
        size *= FACTOR
    return [*sizes, images]


def race(runners: Sequence[Runner], pool: Pool, *, most: int, score: str, others: Sequence[str], listen: Listen,
         remaining: Callable[[], float]) -> None:
    """Let the runners run; what is found of each stands in it afterwards.

    most: images at most. score: what decides; others: scores to compute beside it. A candidate that fails is told of,
    and the race goes on; when the time is up, those that did not run have a failure that says so.
    """
    labels = pool.images.labels()
    pool.store.decoded = decoded = Decoded()
    count = min(most, len(labels))
    order = nested(labels, count, seed=pool.job.seed)
    alive = list(runners)
    for number, size in enumerate(sizes := heats(count, len(pool.images.classes))):
        began = time.monotonic()
        step = STEP if len(sizes) == 1 else f"{STEP}, heat {number + 1} of {len(sizes)}"
        listen(Started(step, len(alive), "candidates"))
        done = 0
        # Those with the same input one after the other, so that its pictures need be in memory only meanwhile.
        for _, group in groupby(sorted(alive, key=_input), key=_input):
            for runner in group:
                if remaining() <= _least_seconds(runner, size):
                    runner.failure = runner.failure or ("" if runner.evidence else "not tried: the time was up")
                    continue
                _visit(runner, pool, np.sort(order[:size]), labels, score, others, listen)
                done += 1
                listen(Progress(step, done, _said(runner)))
            decoded.clear()
        listen(Finished(step, time.monotonic() - began, f"{counted(done, 'candidate')} on {counted(size, 'image')}"))
        running = [runner for runner in alive if not runner.failure]
        if any(runner.images < size for runner in running):
            _take_back(running, size)  # a heat that not all could finish decides nothing
            break
        alive = survivors(running) if size < count else running
        for runner in running:
            runner.sent_off = runner not in alive
        if remaining() <= 0 or not alive:
            break


def _least_seconds(runner: Runner, size: int) -> float:
    """Return the seconds that reading the new images of a heat takes a runner, if none is kept; 0 before its first."""
    return 0.0 if runner.cost is None else (size - runner.images) / runner.cost.images_per_second


def _take_back(runners: Sequence[Runner], size: int) -> None:
    """Let who saw `size` images stand where all stood after the heat before."""
    for runner in runners:
        if runner.images == size and runner.before[1] is not None:
            runner.images, runner.evidence, runner.scores = runner.before


def survivors(runners: Sequence[Runner]) -> list[Runner]:
    """Return the better half, and who is not clearly worse than the best; in the order given."""
    judged = [(runner, runner.evidence) for runner in runners if runner.evidence]
    found = bounded([evidence for _, evidence in judged])
    known = {id(runner): evidence for (runner, _), evidence in zip(judged, found, strict=True)}
    if not known:
        return []
    best = max(known.values(), key=lambda evidence: evidence.value)
    middle = np.median([evidence.value for evidence in known.values()])
    return [runner for runner in runners if (evidence := known.get(id(runner)))
            and (evidence.value >= middle or not clearly_worse(evidence, best))]


def _visit(runner: Runner, pool: Pool, rows: np.ndarray, labels: np.ndarray, score: str, others: Sequence[str],
           listen: Listen) -> None:
    """Let one runner see the images."""
    began = time.monotonic()
    name = runner.candidate.name
    try:
        backbone, note = runner.candidate.build()
        if note and not runner.images:
            listen(Note(f"{name}: {note}"))
        features = pool.features(backbone, rows, _quiet(listen))
        part = pool.images.subset(rows)
        seen = Seen(features, labels[rows], len(part.classes), source_probabilities(backbone, features), part.groups())
        runner.cost = runner.cost or measure(
            backbone, [sample.source for sample in part.samples[:4]], images=len(pool.dataset),
            device=choose_device(pool.job.device), listen=_quiet(listen))
        runner.before = (runner.images, runner.evidence, runner.scores)
        runner.evidence = judge(seen, score=score, gmacs=runner.cost.gmacs, seed=pool.job.seed)
        runner.scores = other_scores(seen, others, lambda said: listen(Note(f"{name}: {said}", "warning")))
        runner.width, runner.images = backbone.width, len(rows)
    except (HeadstartError, RuntimeError, ValueError, TypeError, OSError) as error:
        # Any model may come along, and one that can't be had or run must not cost the others their ranking.
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        runner.failure = said
        listen(Note(f"{name} is left out: {said}", "warning"))
    runner.seconds += time.monotonic() - began


def _input(runner: Runner) -> str:
    preprocessing = runner.candidate.spec.preprocessing
    size = runner.candidate.size or preprocessing.size
    return geometry(preprocessing.model_copy(update={"size": size}))


def _said(runner: Runner) -> str:
    if runner.failure or runner.evidence is None:
        return f"{runner.candidate.name}: left out"
    return f"{runner.candidate.name}: {runner.evidence.accuracy:.3f}"


def _quiet(listen: Listen) -> Listen:
    """Return a listener that passes on the notes only: the steps of each candidate are steps of the race."""
    return lambda event: listen(event) if isinstance(event, Note) else None
