"""Rows: a table file as text. `no`, `0123`, `null` and `NA` are words here, never false, 83, nothing or NaN."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.strict_json import not_json, unique
from headstart.errors import DataError

Cell = str | tuple[str, ...]
"""One value as text; a list in a JSONL or Parquet cell is a tuple of texts; nothing is the empty text."""
ENDINGS = frozenset({".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson"})


@dataclass(frozen=True)
class Rows:
    """A table. `columns` holds every column as a list of cells; row 1 is the first row below the header."""

    path: Path
    columns: dict[str, list[Cell]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def refuse(self, positions: Sequence[int], what: str, others: str, advice: str) -> DataError:
        """Return an error that names the first of the rows at `positions` and counts the rest."""
        more = f" {len(positions) - 1} more rows {others}." if len(positions) > 1 else ""
        return DataError(f"{self.path.name} row {positions[0] + 1}: {what}.{more} {advice}")


def read_rows(path: Path) -> Rows:
    """Return the table in a CSV, TSV, Parquet or JSONL file. Raises DataError naming the row that is wrong."""
    ending = path.suffix.lower()
    try:
        columns = (_parquet(path) if ending in {".parquet", ".pq"} else
                   _json_lines(path) if ending in {".jsonl", ".ndjson"} else _separated(path))
    except OSError as error:
        raise DataError(f"{path}: the table can't be read ({error.strerror or error}).") from error
    rows = Rows(path, columns)
    if not len(rows):
        raise DataError(f"{path}: the table has no rows. It needs a header, and a row for each image.")
    return rows


def header(path: Path) -> list[str]:
    """Return the names of the columns, or nothing where there are none to be read; for sniffing, never raises."""
    try:
        return list(read_rows(path).columns)
    except DataError:
        return []


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b"\n") + 1
        raise DataError(f"{path.name} line {line}: the text is not UTF-8. Save the table as UTF-8.") from error


def _separated(path: Path) -> dict[str, list[Cell]]:
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [row for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path.name} line {reader.line_num}: {error}. Mend the quotes, or save it anew.") from error
    names = [name.strip() or f"column {i}" for i, name in enumerate(lines[0] if lines else [], 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: the header names {', '.join(twice)} more than once. Rename the columns.")
    for number, row in enumerate(lines[1:], 1):
        if len(row) != len(names):
            raise DataError(f"{path.name} row {number}: {len(row)} values under {len(names)} column names "
                            f"(separated by {delimiter!r}). Put text that holds the separator in quotes.")
    return {name: [row[i] for row in lines[1:]] for i, name in enumerate(names)}


def _json_lines(path: Path) -> dict[str, list[Cell]]:
    records: list[dict[str, Cell]] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=unique, parse_int=str, parse_float=str,
                               parse_constant=not_json)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path.name} line {number}: not a JSON object ({error}).") from error
        if not isinstance(value, dict):
            raise DataError(f"{path.name} line {number}: not a JSON object. Each line is one, "
                            'such as {"image": "a.jpg", "label": "cat"}.')
        records.append({key: _cell(item) for key, item in value.items()})
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name, "") for record in records] for name in names}


def _parquet(path: Path) -> dict[str, list[Cell]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    except ValueError as error:  # pyarrow's errors are of this family
        raise DataError(f"{path}: not a sound Parquet file ({error}).") from error
    return {str(name): [_cell(value) for value in _plain(frame[name])] for name in frame.columns}


def _plain(column: Any) -> Iterator[Any]:
    for value in column.tolist():
        if isinstance(value, bytes) or (isinstance(value, dict) and "bytes" in value):
            raise DataError(f"column {column.name}: holds the images themselves, not paths. Load them with "
                            'headstart.load_data(datasets.Dataset.from_parquet("...")), or write them to files.')
        yield value


def _cell(value: Any) -> Cell:
    """Return a value as text. Whole floats lose their point: a column with gaps turns 3 into 3.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) or type(value).__name__ == "ndarray":
        return tuple(str(_cell(item)) for item in value)
    if value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
