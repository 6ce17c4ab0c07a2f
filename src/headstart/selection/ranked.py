"""Ranked: a ranking from data to the folder that it is written into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.backbones.resolve import AUTO
from headstart.data.dataset import Dataset
from headstart.errors import ConfigError
from headstart.events import Listen
from headstart.job import Job, countdown
from headstart.scores.score import SCORES
from headstart.selection.candidates import Wanted, find_candidates
from headstart.selection.pool import open_pool
from headstart.selection.rank import rank, refuse_unknown
from headstart.selection.rank_page import write_rank_page
from headstart.selection.ranking import FOLDER, Ranking
from headstart.selection.records import new_folder, refuse_place

FEWEST = 20
"""Images that must be allowed to be read."""


def make_ranking(job: Job, wanted: Wanted, *, dataset: Dataset | None, score: str, others: Sequence[str], most: int,
                 directory: Path | None, listen: Listen) -> Ranking:
    """Return the ranking for the data of a job, written into `directory` or the next free one in `ranks/`.

    others: names of scores to tell beside it; `all` stands for every one.
    Raises ConfigError where the folder holds other things, or for what `rank` and `find_candidates` refuse.
    """
    refuse_place(directory, FOLDER)
    if most < FEWEST:
        raise ConfigError(f"images={most}: too few to rank by; let at least {FEWEST} be read.")
    if job.image_size is not None and wanted.sizes not in ((), (job.image_size,)):
        raise ConfigError(f"image_size={job.image_size} beside --image-size {','.join(map(str, wanted.sizes))}: which "
                          "is it? Leave one out.")
    names = SCORES.names() if list(others) == ["all"] else list(others)
    refuse_unknown(score, *names)  # before any image is read
    remaining = countdown(job.limit_time)
    if job.init_from:
        raise ConfigError("rank compares pretrained models; init_from names a run to start from. Leave it out.")
    if job.image_size is not None and not wanted.sizes:
        wanted = replace(wanted, sizes=(job.image_size,))
    if job.backbone != AUTO and not wanted.backbones:
        wanted = replace(wanted, backbones=(job.backbone,))
    candidates = find_candidates(wanted, channels=job.channels, fit=job.fit, allow_licenses=job.allow_licenses,
                                 listen=listen)
    pool = open_pool(job, dataset, listen)
    found = rank(pool, candidates, listen=listen, score=score, others=names, most=most,
                 remaining=remaining)
    target = new_folder(directory, FOLDER, job)
    write_rank_page(found, target)
    found.save(target)
    return Ranking.load(target)
