"""Advised: an advice from data to the folder that it is written into, and from an advice to the job that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.errors import ConfigError
from headstart.events import Listen, Note
from headstart.job import Job, countdown
from headstart.selection.advice import FOLDER, Advice, find_advice
from headstart.selection.advice_page import write_advice_page
from headstart.selection.advise import advise, wishes
from headstart.selection.pool import Pool, open_pool
from headstart.selection.ranking import Ranked, find_ranking
from headstart.selection.records import new_folder, refuse_place


def make_advice(job: Job, *, dataset: Dataset | None, directory: Path | None, listen: Listen) -> Advice:
    """Return the advice for the data of a job, written into `directory` or the next free one in `advice/`.

    Raises ConfigError where the folder holds other things, or no backbone could be judged.
    """
    refuse_place(directory, FOLDER)
    if job.init_from:
        raise ConfigError("advise chooses a pretrained model; init_from names a run to start from. Leave it out.")
    if "method" in job.model_fields_set and not job.advise:
        listen(Note(f"method={','.join(part.part_name for part in job.method)} is left aside: an advice looks at every "
                    "way that is open."))
    remaining = countdown(job.limit_time)
    found = advise(open_pool(job, dataset, listen), listen=listen, remaining=remaining)
    target = new_folder(directory, FOLDER, job)
    write_advice_page(found, target)
    found.save(target)
    return Advice.load(target)


@dataclass(frozen=True)
class Choice:
    """What was chosen for a job, as the run keeps it and its report shows it."""

    text: str
    """What was picked, and why."""
    facts: list[tuple[str, str, str]]
    """What was looked at, what was found, what it means."""


def follow(job: Job, pool: Pool, listen: Listen) -> tuple[Job, Choice]:
    """Return the job with what the advice on its data decides, and why: the advice on disk, or a new one.

    What the job names itself (a backbone, an image size) stays as it is.
    """
    advice = find_advice(wishes(pool), listen=listen)
    if advice is None:
        advice = advise(pool, listen=listen, remaining=countdown(job.limit_time))
    text = advice.why() + (f" The whole of it: {advice.directory}." if advice.directory else "")
    listen(Note(text))
    settings = job.model_dump(mode="json") | advice.settings() | {"advise": False}
    return Job.parse(settings), Choice(text, [(fact.what, fact.found, fact.meaning) for fact in advice.facts])


def take_ranked(job: Job, pool: Pool, listen: Listen) -> tuple[Job, Choice | None]:
    """Return the job with the first backbone of a ranking of its data on disk, and why; as it is where none is."""
    ranking = find_ranking(pool.known_to(), data=pool.job.data, listen=listen)
    fitting = [item for item in ranking.candidates if _fits(item, job)] if ranking else []
    if not ranking or not fitting:
        return job, None
    best = fitting[0]
    text = (f"backbone auto: {best.name}, rank {best.rank} of {len(ranking.candidates)} in {ranking.directory}: a "
            f"linear probe on its features is right in {best.accuracy:.1%} of {ranking.judged_on}. "
            "Another one: --backbone NAME.")
    listen(Note(text))
    size = {} if best.own_size else {"image_size": best.size}
    facts = [(f"rank {item.rank}", f"{item.name}: probe {item.accuracy:.1%} ({item.accuracy_low:.1%} to "
              f"{item.accuracy_high:.1%})", f"95% of ranks: {item.rank_low} to {item.rank_high}")
             for item in ranking.candidates[:5]]
    return job.model_copy(update={"backbone": best.architecture, **size}), Choice(text, facts)


def _fits(item: Ranked, job: Job) -> bool:
    """Return whether the job allows the candidate: its licence and its input size."""
    return item.allowed(job.allow_licenses) and job.image_size in (None, item.size)
