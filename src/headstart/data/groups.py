"""Groups: which images belong together (a patient, a plant, a burst) and must share a split: `--group-by`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from headstart.data.check import check
from headstart.data.dataset import Dataset
from headstart.data.duplicates import group_duplicates
from headstart.data.findings import CheckReport
from headstart.errors import ConfigError, DataError, listed
from headstart.events import Listen, silent

DUPLICATES = "duplicates"
WITH_COLUMNS = ("boxes_table", "huggingface", "table")
"""Formats whose reader has a `group` setting."""


def load_grouped(load: Callable[[Mapping[str, Any]], Dataset], settings: Mapping[str, Any],
                 rule: str | None) -> Dataset:
    """Return the data, read with the rule's column where the rule names one.

    load: reads the data with the given settings of the reader. `group_by` must still be called for the other rules;
    it does nothing for a column that was read here. Raises ConfigError where the format has no columns.
    """
    dataset = load(settings)
    if rule is None or not is_column(rule):
        return dataset
    if dataset.format not in WITH_COLUMNS:
        raise ConfigError(f'--group-by {rule}: data of the format {dataset.format} has no columns. Use `duplicates`, '
                          "or a regular expression with the group in brackets, such as '(patient\\d+)_'.")
    return load({**settings, "group": rule})


def is_column(rule: str) -> bool:
    """Return whether the rule names a column: it is not `duplicates` and captures nothing."""
    return rule != DUPLICATES and "(" not in rule


def group_by(dataset: Dataset, rule: str, *, report: CheckReport | None = None, listen: Listen = silent) -> Dataset:
    """Return the data with `Sample.group` set by the rule.

    rule: `duplicates` unites images that are or look the same, and the groups they are in; a regular expression is
    searched in each sample's id, and what its brackets capture is the group; anything else is the name of a column,
    which `load_grouped` has read. report: of `check` on this data; made where `duplicates` needs it and it is None.
    Raises ConfigError for a bad expression, or a column where none was read; DataError for ids that don't match.
    """
    if rule == DUPLICATES:
        grouped = group_duplicates(dataset, report or check(dataset, listen=listen, quick=True), near=True)
    elif is_column(rule):
        if dataset.groups() is None:
            raise ConfigError(f'--group-by {rule}: the data was read without the column "{rule}". Read it with '
                              f"--set reader.group={rule}, or use `duplicates` or a regular expression with brackets.")
        grouped = dataset
    else:
        grouped = _by_expression(dataset, rule)
    return replace(grouped, notes=(*grouped.notes, f"grouped by {rule}: {describe(grouped)}"))


def describe(dataset: Dataset) -> str:
    """Return how many groups there are and how large they get; a sample without a group is one of its own."""
    sizes = Counter(dataset.groups() or [sample.id for sample in dataset.samples])
    largest = max(sizes.values(), default=0)
    return f"{len(sizes)} groups in {len(dataset)} images, the largest of {largest}"


def _by_expression(dataset: Dataset, rule: str) -> Dataset:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise ConfigError(f"--group-by {rule}: not a regular expression ({error})") from None
    if not pattern.groups:
        raise ConfigError(f"--group-by {rule}: the expression captures nothing; put the group in brackets, such as "
                          "'(patient\\d+)_'.")
    found = [pattern.search(sample.id) for sample in dataset.samples]
    missed = [sample.id for sample, match in zip(dataset.samples, found, strict=True) if match is None]
    if missed:
        raise DataError(f"--group-by {rule}: {len(missed)} of {len(dataset)} images don't match:\n{listed(missed)}\n"
                        "  Widen the expression, so that it finds a group in every name.")
    names = ["/".join(part or "" for part in match.groups()) for match in found if match]
    samples = tuple(replace(sample, group=name) for sample, name in zip(dataset.samples, names, strict=True))
    return replace(dataset, samples=samples)
