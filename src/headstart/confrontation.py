"""Confrontation: finished runs against each other, on the images that prove both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from headstart.catalog import Catalog
from headstart.errors import ConfigError
from headstart.evaluation.boxes import compare_detections, detections_in, overlaps_in, truth_in
from headstart.evaluation.comparison import Difference, compare_tables
from headstart.evaluation.masks import compare_masks, measures_in
from headstart.runs import Run
from headstart.tasks.task import ImageTask, Task


def confront(runs: Sequence[Run], *, metric: str | None = None) -> list[dict[str, Any]]:
    """Return each later run against the first: the paired difference with its interval, and a sentence.

    On the labelled images of the target where both were adapted to the same, else on the test images.
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
    compared = partial(_answers, task) if isinstance(task, ImageTask) else \
        _boxes if task.part_name == "detection" else _masks
    found = []
    for run in runs[1:]:
        split = shared_split(run, first)
        found.append(_told(run, first, split, metric or task.monitor,
                           compared(run, first, split, metric or task.monitor)))
    return found


def _boxes(run: Run, first: Run, split: str, metric: str) -> Difference:
    """Return the paired difference of two detectors. Raises ConfigError where the images that prove them differ."""
    rows, groups = _shared(run, first, split)
    mine, theirs = ([detections_in(row) for row in table] for table in rows)
    on = [[one for row in table if (one := overlaps_in(row)) is not None] for table in rows]
    return compare_detections(mine, theirs, [truth_in(row) for row in rows[1]], first.data["classes"], metric=metric,
                              masks=(on[0], on[1]) if all(map(len, on)) else None, seed=first.job.seed, groups=groups)


def _masks(run: Run, first: Run, split: str, metric: str) -> Difference:
    """Return the paired difference of two segmenters. Raises ConfigError where the images that prove them differ."""
    rows, groups = _shared(run, first, split)
    mine, theirs = map(measures_in, rows)
    return compare_masks(mine, theirs, metric=metric, seed=first.job.seed, groups=groups)


def _shared(run: Run, first: Run, split: str) -> tuple[list[list[Any]], list[object] | None]:
    """Return the rows of both runs' images of a split, in one order, and the groups of these, if any."""
    tables = [_rows(one, split).set_index("id").sort_index() for one in (run, first)]
    if list(tables[0].index) != list(tables[1].index):
        raise ConfigError(f"{run} and {first} can't be compared: their test images differ. Make both runs with the "
                          "same data and seed.")
    groups = first.samples.set_index("id")["group"].reindex(tables[1].index)
    return ([table.to_dict("records") for table in tables],
            None if groups.isna().all() else groups.fillna(groups.index.to_series()).tolist())


def shared_split(*runs: Run) -> str:
    """Return `target` where all runs were proven on the same images of a target, else `test`."""
    if not all("target" in run.splits for run in runs):
        return "test"
    there = [set(_rows(run, "target")["id"]) for run in runs]
    return "target" if all(ids == there[0] for ids in there) else "test"


def _rows(run: Run, split: str) -> pd.DataFrame:
    return run.predictions[run.predictions["split"] == split]


def _answers(task: ImageTask, run: Run, first: Run, split: str, metric: str) -> Difference:
    """Return the paired difference of two classifiers. Raises ConfigError where the images that prove them differ."""
    grouped = first.samples.dropna(subset="group")
    groups: dict[str, object] = dict(zip(grouped["id"], grouped["group"], strict=True))
    return compare_tables(run.predictions, first.predictions, task=task, metric=metric, split=split,
                          names=(str(run), str(first)), groups=groups or None, seed=first.job.seed)


def _told(run: Run, first: Run, split: str, metric: str, found: Difference) -> dict[str, Any]:
    where = " on the target" if split == "target" else \
        " on the source's test images, not on a target" if run.job.target or first.job.target else ""
    return {"a": str(run), "b": str(first), "split": split, **found.to_json(),
            "text": f"{run} against {first}{where}: {metric} {found.difference.value:+.4f} (95% interval "
                    f"{found.difference.low:+.4f} to {found.difference.high:+.4f}): {found.verdict}"}
