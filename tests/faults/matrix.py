"""The fault matrix as code: a number, the fault in words, and a function that provokes it and checks the outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    number: int
    fault: str
    check: Callable[[Path], None]


ROWS: list[Row] = []


def row(number: int, fault: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a check of one row; it gets a fresh folder and must raise AssertionError where the promise fails."""

    def register(check: Callable[[Path], None]) -> Callable[[Path], None]:
        ROWS.append(Row(number, fault, check))
        return check

    return register
