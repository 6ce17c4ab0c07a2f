"""The gate: read the data and let no run start on data that would make its result a lie, unless told to by name."""

from __future__ import annotations

from typing import Any

from headstart.backbones.resolve import AUTO, find
from headstart.data.box_findings import INPUT_SIZE
from headstart.data.boxes import mended
from headstart.data.check import check, drop_bad, enforce
from headstart.data.dataset import Dataset
from headstart.data.duplicates import group_duplicates
from headstart.data.groups import DUPLICATES, group_by, load_grouped
from headstart.data.load import load_data
from headstart.events import Listen, Note
from headstart.job import Job


def admit(job: Job, dataset: Dataset | None, listen: Listen) -> tuple[Dataset, list[dict[str, Any]]]:
    """Return the data to use, grouped, without unreadable images where asked, and what the check found.

    dataset: the data already read, or None. What was inferred is told to `listen`.
    Raises DataError with the findings that forbid a run, and how to mend or allow each.
    """
    if dataset is None:
        dataset = load_grouped(
            lambda settings: load_data(job.data, format=job.format, settings=settings, task=job.task,
                                       skip_bad=job.skip_bad),
            job.reader, job.group_by)
    if job.group_by and job.group_by != DUPLICATES:
        dataset = group_by(dataset, job.group_by)
    report = check(dataset, listen=listen, quick=True, input_size=_input_size(job),
                   slice_size=job.slices.size if job.slices else None)
    # Unreadable files are left out or refused; to go on with them is no choice.
    allowed = [name for name in job.allow if name != "corrupt"]
    enforce(report, allow=[*allowed, *(["corrupt"] if job.skip_bad else [])])
    if job.skip_bad:
        dataset = drop_bad(dataset, report)
    if dataset.task == "detection":
        dataset = mended(dataset, report.sizes)
    if job.group_by == DUPLICATES:
        dataset = group_by(dataset, job.group_by, report=report)
    # Exact copies share a split whatever the user groups by: one in train and one in test would be a leak of ours.
    dataset = group_duplicates(dataset, report)
    for note in dataset.notes:
        listen(Note(note))
    for finding in report.findings:
        if finding.level != "ok":
            listen(Note(f"{finding.kind}: {finding.text}", "warning"))
    return dataset, [finding.model_dump(mode="json") for finding in report.findings]


def wanted_size(job: Job, own: str) -> int | None:
    """Return the pixels of the longer side of what a detector sees; None for the size of a published one.

    own: the detector that the backbone brings, if any. Of slices it is their own size: they are cut so that nothing is
    shrunk.
    """
    return job.image_size or (job.slices.size if job.slices else None if own else INPUT_SIZE)


def _input_size(job: Job) -> int:
    if job.image_size or job.backbone == AUTO:
        return job.image_size or wanted_size(job, "") or INPUT_SIZE
    spec = find(job.backbone)
    return wanted_size(job, spec.detector) or spec.preprocessing.size
