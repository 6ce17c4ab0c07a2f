"""Advise: gather cheap evidence on the data, and say which backbone and which method it speaks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import AUTO
from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.events import Listen
from headstart.images import probe as read_header
from headstart.selection.advice import Advice, Fact
from headstart.selection.candidates import Candidate, Wanted, find_candidates, load
from headstart.selection.curve import probe_curve
from headstart.selection.evidence import source_probabilities
from headstart.selection.forecast import Forecast, forecast
from headstart.selection.nearness import Nearness, nearness
from headstart.selection.options import Basis, Distance, augment_for, distance_of, options, worth_trying
from headstart.selection.pool import Pool, nested, of_each_class
from headstart.selection.rank import rank
from headstart.selection.ranking import Ranked, Ranking, find_ranking
from headstart.selection.trial import Trial, Untried, short_tuning

MOST = 1000
"""Images whose features are read for a ranking and a learning curve."""
HEADERS = 100
"""Images whose size is looked at."""
LOOKED = 100
"""Images that are shown once more to the pretrained classifier, at its own size."""
WORTH_LABELS = 0.01
"""Gain for which labelling as many again is worth its while."""
SLOWER = 9.0
"""Times that a step of training takes longer than reading features, where no trial measured it."""


def advise(pool: Pool, *, listen: Listen, remaining: Callable[[], float] = lambda: float("inf")) -> Advice:
    """Return the advice. Only images of train and validation are read; nothing is written.

    The job's `backbone`, where it is not `auto`, is the only candidate; its `limit_time` is the budget that the plan
    must fit, the advice included. Raises ConfigError where no backbone could be judged.
    """
    began = time.monotonic()
    ranking = _ranking(pool, listen, remaining)
    best = ranking.best
    backbone, _ = _load(pool, best)
    rows = np.sort(nested(pool.images.labels(), min(MOST, len(pool.images)), seed=pool.job.seed))
    features = pool.features(backbone, rows, lambda event: None)
    part = pool.images.subset(rows)
    curve = probe_curve(features, part.labels(), classes=len(part.classes), seed=pool.job.seed, groups=part.groups())
    ahead = forecast(curve, seed=pool.job.seed)
    near = _nearness(pool, ranking, backbone, features, rows, remaining)
    distance = distance_of(near)
    tried = _tried(pool, best, backbone, distance, listen, remaining)
    trial, untried = (None, tried) if isinstance(tried, str) else (tried, None)
    extraction = len(pool.dataset) / best.images_per_second
    spent = time.monotonic() - began
    basis = Basis(
        images=len(pool.splits.train), accuracy=best.accuracy,
        judged=best.images, held_out=len(pool.splits.test),
        distance=distance, trial=trial, untried=untried, extraction=extraction,
        seconds_per_image=trial.seconds_per_image if trial else SLOWER / best.images_per_second,
        limit=None if pool.job.limit_time is None else max(0.0, pool.job.limit_time - spent))
    return Advice(
        pool.job.data, wishes(pool), best.architecture, None if best.own_size else best.size,
        _backbone_reason(ranking, pool.job.backbone),
        tuple(_facts(pool, ranking, near, distance, ahead, trial, basis)),
        tuple(options(basis)), round(time.monotonic() - began, 2), nearness=asdict(near),
        multilabel=ranking.multilabel)


def _tried(pool: Pool, best: Ranked, backbone: Backbone, distance: Distance, listen: Listen,
           remaining: Callable[[], float]) -> Trial | Untried:
    """Return what a short fine-tuning shows, or why none was made."""
    # Where the probe makes hardly a mistake there is nothing to gain, and nothing to try.
    if best.accuracy >= 1 - 1 / best.images:
        return "settled"
    if not worth_trying(distance, best.accuracy, len(pool.images)):
        return "few"
    return short_tuning(pool, backbone, augment=augment_for(distance), listen=listen, remaining=remaining)


def wishes(pool: Pool) -> dict[str, object]:
    """Return what an advice depends on: the data, how they are divided, and what the job leaves open."""
    job = pool.job
    return {**pool.known_to(), "backbone": job.backbone, "image_size": job.image_size, "limit_time": job.limit_time,
            "allow_licenses": list(job.allow_licenses)}


def _ranking(pool: Pool, listen: Listen, remaining: Callable[[], float]) -> Ranking:
    """Return the ranking on disk of these data, or a new one."""
    job = pool.job
    if job.backbone == "auto" and job.image_size is None:
        found = find_ranking(pool.known_to(), data=job.data, listen=listen)
        fitting = tuple(item for item in found.candidates if item.allowed(job.allow_licenses)) if found else ()
        if found is not None and fitting:
            return replace(found, candidates=fitting)
    wanted = Wanted(() if job.backbone == "auto" else (job.backbone,), available=job.backbone == "auto",
                    sizes=() if job.image_size is None else (job.image_size,))
    candidates: Sequence[Candidate] = find_candidates(wanted, channels=job.channels, fit=job.fit,
                                                      allow_licenses=job.allow_licenses)
    return rank(pool, candidates, listen=listen, most=MOST, remaining=remaining)


def _load(pool: Pool, item: Ranked) -> tuple[Backbone, str]:
    job = pool.job
    return load(item.architecture, None if item.own_size else item.size, job.channels, job.fit, job.allow_licenses)


def _nearness(pool: Pool, ranking: Ranking, backbone: Backbone, features: np.ndarray, rows: np.ndarray,
              remaining: Callable[[], float]) -> Nearness:
    """Return the nearness by the best backbone, or by the next one whose classifier came along at its own size.

    Where none was ranked at its own size, the first that has a classifier looks at LOOKED of the images again at its
    own: at another size the classifier is less sure of any image.
    """
    source = source_probabilities(backbone, features)
    if source is not None and ranking.best.own_size:
        return nearness(backbone, features, source)
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(LOOKED, len(rows))).astype(int))]
    # Those that have looked at the images at their own size come first: their features are kept.
    for kept, item in sorted(((item.own_size and not item.eliminated, item) for item in ranking.candidates),
                             key=lambda pair: not pair[0]):
        if not kept and remaining() <= 0:
            break
        own, _ = _load(pool, replace(item, own_size=True))
        if own.classifier is not None:
            theirs = pool.features(own, rows if kept else some, lambda event: None)
            return nearness(own, theirs, source_probabilities(own, theirs))
    return nearness(backbone, features, None)


def _backbone_reason(ranking: Ranking, asked: str) -> str:
    best = ranking.best
    if asked != AUTO:
        return f"backbone: {best.name}, as it was asked for."
    if len(ranking.candidates) == 1:
        return f"backbone auto: {best.name}, the only candidate " \
               + (f"that is allowed in {ranking.directory}." if ranking.directory else "whose weights are here.")
    return (f"backbone auto: {best.name} ranks first of {len(ranking.candidates)}: a linear probe on its features is "
            f"right in {best.accuracy:.1%} of {ranking.judged_on}"
            + (f", as ranked in {ranking.directory}." if ranking.directory else "."))


def _facts(pool: Pool, ranking: Ranking, near: Nearness, distance: Distance, ahead: Forecast | None,
           trial: Trial | None, basis: Basis) -> list[Fact]:
    counts = of_each_class(pool.images)
    few, many = int(counts.min()), int(counts.max())
    facts = [
        Fact("images", f"{len(pool.images)} for learning and choosing, {len(pool.splits.test)} held out to prove it",
             "50 or more of each class: no reason to leave a layer frozen, none to train it either" if few >= 50 else
             "a class has under 50: keep close to what was pretrained"),
        Fact("images a class", f"{few} to {many}",
             "unbalanced: watch the balanced accuracy" if many > 5 * max(1, few) else "balanced enough"),
        _size_fact(pool.images, ranking.best.size)]
    facts += [Fact("data check", item["text"], item["advice"] or "read it") for item in pool.findings
              if item["level"] != "ok"]
    facts.append(_near_fact(near, distance))
    best = ranking.best
    facts.append(Fact("linear probe", f"right in {best.accuracy:.1%} ({best.accuracy_low:.1%} to "
                      f"{best.accuracy_high:.1%}) of {ranking.judged_on} it was not fitted on, on {best.name}",
                      "what any training must beat"))
    if ahead is not None:
        facts.append(_labels_fact(ahead))
    if trial is not None:
        facts.append(_trial_fact(trial, ranking.counted(trial.held_out)))
    facts.append(Fact("speed here", f"{best.images_per_second:.0f} images a second read, "
                      f"{1 / basis.seconds_per_image:.0f} trained", f"{basis.images} training images an epoch: "
                      f"{basis.images * basis.seconds_per_image:.0f} s"))
    if pool.job.limit_time is not None:
        facts.append(Fact("time given", f"{pool.job.limit_time:.0f} s", "plans that need more come last"))
    return facts


def _trial_fact(trial: Trial, held_out: str) -> Fact:
    """held_out: what it was judged by, in words."""
    arms = ", ".join(f"{arm.gain:+.1%} at rate {arm.rate:g}" + (" (validation liked its start better)" if arm.worse
                                                                  else "") for arm in trial.arms)
    best = trial.best
    return Fact("short fine-tuning", f"{arms} against the probe's {trial.probe:.1%} on {held_out} "
                f"(give or take {best.error:.1%})",
                "no rate did any good: nothing here speaks for fine-tuning" if not trial.helped else
                "within chance: too few images to tell" if not best.sure else
                "training moves the features the right way" if best.gain > 0 else "the features are good as they are")


def _near_fact(near: Nearness, distance: Distance) -> Fact:
    # The distance of the mean features enters no verdict: it stands in the record only.
    found = "can't be told: no pretrained classifier was asked" if near.confidence is None else \
        f"the pretrained classifier, at its own input size, is {near.confidence:.0%} sure of its answers (entropy " \
        f"{near.entropy:.0%})"
    meaning = {"near": "near enough to the pretraining's photos for its features to fit",
               "far": "far from the pretraining's photos: expect to gain by training the early layers, too",
               "unknown": "neither clearly near the pretraining's photos nor far from them"}[distance]
    if near.confidence is None:
        meaning = "not known: these images are taken for neither near nor far"
    return Fact("likeness to the pretraining images", found, meaning)


def _size_fact(images: Dataset, size: int) -> Fact:
    chosen = np.unique(np.linspace(0, len(images) - 1, min(HEADERS, len(images))).astype(int))
    shorter = []
    for row in chosen:
        try:
            header = read_header(images.samples[int(row)].source)
            shorter.append(min(header.width, header.height))
        except DataError:  # told by the check already
            continue
    if not shorter:
        return Fact("resolution", "not known", "")
    middle = float(np.median(shorter))
    meaning = "small pictures are enlarged: a smaller --set image_size would save time; what it loses, `headstart " \
              "rank --image-size` tells" \
        if middle * 3 < size else "large enough for the input" if middle >= size else "a little enlarged"
    return Fact("resolution", f"shorter side {middle:.0f} pixels (median), input {size}", meaning)


def _labels_fact(ahead: Forecast) -> Fact:
    """Return what twice the labels bring: both ends are read off the fitted curve, since another estimate beside it
    could make a loss of a rise."""
    images = float(ahead.curve.sizes[-1])
    now, twice = ahead.at(images), ahead.at(2 * images)
    gain = twice.value - now.value
    meaning = "labelling more brings little" if gain <= WORTH_LABELS else \
        "labelling more pays" if twice.low > now.value else \
        "labelling more may pay; these images are too few to be sure"
    return Fact("more labels", f"twice as many change the probe by {100 * gain:+.1f} points on its fitted curve: from "
                f"{now.value:.1%} with {now.images} to {twice.value:.1%} ({twice.low:.1%} to {twice.high:.1%}) with "
                f"{twice.images}", meaning)
