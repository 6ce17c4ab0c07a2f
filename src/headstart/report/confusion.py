"""Confusion: which classes are taken for which, as a matrix, as pairs, or as counts per label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.report.figures import overview
from headstart.report.reading import Record

LARGEST = 20
"""More classes than this don't fit as a matrix of numbers."""
OVERVIEW = 100
"""More classes than this don't fit as a picture of squares."""
PAIRS = 20


@dataclass(frozen=True)
class Cell:
    """One number of the matrix."""

    count: int
    share: float
    """Of the images of the true class, 0..1."""
    right: bool


@dataclass(frozen=True)
class Pair:
    """One class taken for another."""

    true: str
    predicted: str
    count: int
    of: int
    """Images of the true class."""


@dataclass(frozen=True)
class LabelCounts:
    """One label's decisions, right and wrong."""

    name: str
    found: int
    missed: int
    invented: int
    left: int
    """Rightly not given."""


@dataclass(frozen=True)
class Confusion:
    """What the page shows of the mistakes between classes; what does not fit the task is empty."""

    rows: list[tuple[str, int, list[Cell]]]
    pairs: list[Pair]
    confused: int
    """Number of pairs of classes of which at least one image was confused."""
    overview: str
    labels: list[LabelCounts]


def confusion(record: Record) -> Confusion | None:
    """Return the confusion of the proving split, or None where the run has not recorded it."""
    if record.several:
        labels = _labels(record)
        return Confusion([], [], 0, "", labels) if labels else None
    details = record.details.get(record.split)
    if not details or not details.confusion:
        return None
    return of_matrix(details.confusion, record.data.classes)


def of_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Confusion:
    """Return the confusion of a matrix of counts; rows are the true classes."""
    pairs = _pairs(matrix, classes)
    small = len(classes) <= LARGEST
    picture = "" if small or len(classes) > OVERVIEW else overview(matrix, classes)
    return Confusion(_rows(matrix, classes) if small else [], pairs[:PAIRS], len(pairs), picture, [])


def _rows(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[str, int, list[Cell]]]:
    return [(classes[row], sum(counts), [Cell(n, n / max(1, sum(counts)), row == column)
                                         for column, n in enumerate(counts)])
            for row, counts in enumerate(matrix)]


def _pairs(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Pair]:
    found = [(row, column, n) for row, counts in enumerate(matrix) for column, n in enumerate(counts)
             if n and row != column]
    return [Pair(classes[row], classes[column], n, sum(matrix[row]))
            for row, column, n in sorted(found, key=lambda item: (-item[2], item[0], item[1]))]


def _labels(record: Record) -> list[LabelCounts]:
    if record.predictions is None:
        return []
    table = record.predictions[record.predictions["split"] == record.split]
    classes = record.data.classes
    true, given = (_indicators(table[name].tolist(), len(classes)) for name in ("label", "predicted"))
    return [LabelCounts(name, int((true[:, i] & given[:, i]).sum()), int((true[:, i] & ~given[:, i]).sum()),
                        int((~true[:, i] & given[:, i]).sum()), int((~true[:, i] & ~given[:, i]).sum()))
            for i, name in enumerate(classes)]


def _indicators(labels: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """Return bool [N, C] from a list of class positions per image."""
    found = np.zeros((len(labels), classes), bool)
    for row, positions in enumerate(labels):
        found[row, [int(position) for position in positions]] = True
    return found
