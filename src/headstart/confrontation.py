"""Confrontation: finished runs against each other, on the test images that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.catalog import Catalog
from headstart.errors import ConfigError
from headstart.evaluation.comparison import compare_tables
from headstart.runs import Run
from headstart.tasks.task import ImageTask, Task


def confront(runs: Sequence[Run], *, metric: str | None = None) -> list[dict[str, Any]]:
    """Return each later run against the first: the paired difference with its interval, and a sentence.

    Raises ConfigError for fewer than two runs, other classes or another task, or other test images.
    """
    if len(runs) < 2:
        raise ConfigError("compare: name two runs or more; `headstart runs` lists them.")
    first = runs[0]
    for run in runs[1:]:
        for key in ("task", "classes"):
            if run.data[key] != first.data[key]:
                raise ConfigError(f"{run} and {first} can't be compared: their {key} differ "
                                  f"({run.data[key]} against {first.data[key]}).")
    task = Catalog("tasks", Task).get(first.data["task"])()  # type: ignore[type-abstract]
    if not isinstance(task, ImageTask):
        return [_boxes(run, first, metric or task.monitor) for run in runs[1:]]
    return [_one(run, first, task, metric or task.monitor) for run in runs[1:]]


def _one(run: Run, first: Run, task: ImageTask, metric: str) -> dict[str, Any]:
    grouped = first.samples.dropna(subset="group")
    groups: dict[str, object] = dict(zip(grouped["id"], grouped["group"], strict=True))
    found = compare_tables(run.predictions, first.predictions, task=task, metric=metric, names=(str(run), str(first)),
                           groups=groups or None, seed=first.job.seed)
    return {"a": str(run), "b": str(first), **found.to_json(),
            "text": f"{run} against {first}: {metric} {found.difference.value:+.4f} (95% interval "
                    f"{found.difference.low:+.4f} to {found.difference.high:+.4f}): {found.verdict}"}
