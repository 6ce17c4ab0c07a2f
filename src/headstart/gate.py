"""The gate: no run starts on data that would make its result a lie, unless told to by name."""

from __future__ import annotations

from typing import Any

from headstart.data.check import check, drop_bad, enforce
from headstart.data.dataset import Dataset
from headstart.data.duplicates import group_duplicates
from headstart.data.groups import group_by
from headstart.events import Listen, Note
from headstart.job import Job


def admit(job: Job, dataset: Dataset, listen: Listen) -> tuple[Dataset, list[dict[str, Any]]]:
    """Return the data to use, grouped, without unreadable images where asked, and what the check found.

    Raises DataError with the findings that forbid a run, and how to mend or allow each.
    """
    report = check(dataset, listen=listen, quick=True)
    enforce(report, allow=[*job.allow, *(["corrupt"] if job.skip_bad else [])])
    if job.skip_bad:
        dataset = drop_bad(dataset, report)
    if job.group_by:
        dataset = group_by(dataset, job.group_by)
    dataset = group_duplicates(dataset, report)
    for finding in report.findings:
        if finding.level != "ok":
            listen(Note(finding.text, "warning"))
    return dataset, [finding.model_dump(mode="json") for finding in report.findings]
