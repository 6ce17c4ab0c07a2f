"""All scores of every candidate on the images that the truth was trained on, and what the default ranking cost."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import find
from headstart.events import silent
from headstart.held_out import held_out
from headstart.job import Job
from headstart.scores.score import SCORES
from headstart.selection.candidates import Candidate
from headstart.selection.evidence import source_probabilities
from headstart.selection.pool import pool_of
from headstart.selection.rank import rank
from selecting.candidates import CANDIDATES, Made
from selecting.truth import NAMES, SEEDS, draw_splits, fresh

PUBLISHED = {"mobilenet_v2": 71.9}
"""ImageNet top-1 that a static list says of an architecture whose weights' own is not known."""


def candidate(made: Made, name: str) -> Candidate:
    """Return the candidate as `rank` takes it."""
    backbone = build(made, name)
    return Candidate(str(made), backbone.spec, None, lambda: (build(made, name), ""))


def build(made: Made, name: str) -> Backbone:
    """Return the backbone with the preprocessing that the truth had."""
    model = fresh(str(made), name, ("a", "b"))
    return model.backbone


def measure(name: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each candidate: its scores, and its share of the CPU seconds of the ranking."""
    torch.set_num_threads(1)
    splits = draw_splits(name, seed)
    job = Job.parse({"data": name, "seed": seed, "tracking": "off", "workers": 1})
    # Those that prove the truth are no images of a user with so few labels.
    none = dataclasses.replace(splits.val, samples=())
    splits = dataclasses.replace(splits, val=none, test=none)
    candidates = [candidate(made, name) for made in CANDIDATES]
    with tempfile.TemporaryDirectory() as folder:
        before, os.environ["HEADSTART_CACHE"] = os.environ["HEADSTART_CACHE"], folder
        pool = pool_of(job, splits.train, [], splits)
        began = time.process_time()
        ranking = rank(pool, candidates, listen=silent)
        spent = time.process_time() - began
        rows = np.arange(len(pool.images))
        labels = pool.images.labels()
        for made, item in zip(CANDIDATES, candidates, strict=True):
            backbone, _ = item.build()
            features = pool.features(backbone, rows, silent)
            source = source_probabilities(backbone, features) if not (made.kept or made.random) else None
            found = {score: SCORES.get(score)()(features, labels, source) for score in SCORES.names()
                     if source is not None or not SCORES.get(score).needs_source}
            probe = held_out(features, labels, classes=len(splits.train.classes), seed=seed)
            place = next(entry for entry in ranking.candidates if entry.name == str(made))
            yield {"set": name, "seed": seed, "candidate": str(made), "scores": found, "default": place.value,
                   "rank": [place.rank, place.rank_low, place.rank_high], "eliminated": place.eliminated,
                   "log_likelihood": -float(probe.losses().mean()), "top1": backbone.spec.top1,
                   "list_top1": find(made.trunk).top1 or PUBLISHED.get(made.trunk), "parameters": place.parameters,
                   "gmacs": place.gmacs, "size": place.size, "width": place.width,
                   "rank_cpu_seconds": round(spent, 2)}
        os.environ["HEADSTART_CACHE"] = before


def todo(rows: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the (set, seed) without rows."""
    done = {(row["set"], row["seed"]) for row in rows}
    return [(name, seed) for seed in SEEDS for name in NAMES if (name, seed) not in done]
