"""Walks the fault matrix by number. A later issue adds `rows_<room>.py` with its own `@row(...)` functions."""

import importlib
from pathlib import Path

import pytest

from tests.faults.matrix import ROWS, Row

for file in sorted(Path(__file__).parent.glob("rows_*.py")):
    importlib.import_module(f"tests.faults.{file.stem}")


@pytest.mark.parametrize("case", ROWS, ids=[f"row{r.number:02d}-{r.fault.replace(' ', '-')}" for r in ROWS])
def test_fault_row(case: Row, tmp_path: Path) -> None:
    case.check(tmp_path)
