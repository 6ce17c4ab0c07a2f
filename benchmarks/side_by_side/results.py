"""Results of a benchmark: a row a line, appended at once, and the table that stands in docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows so far; none where there is no file yet."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def put_table(table: str, *, start: str, end: str) -> None:
    """Write a table between two marks, each a line of the page. Raises SystemExit where the page has lost them."""
    before, begun, rest = DOCS.read_text().partition(start)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{DOCS} has lost its marks {start.strip()} and {end.strip()}: put them where the table "
                         "belongs.")
    DOCS.write_text(f"{before}{start}\n{table}\n{end}{after}")
