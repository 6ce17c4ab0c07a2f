"""Cells: an encoded image inside a table of the `datasets` library, read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.images import ImageError


@dataclass(frozen=True)
class CellBytes:
    """A picklable call that returns the encoded image in one cell; the data set itself stays on disk, memory-mapped."""

    table: Any
    column: str
    row: int
    name: str

    def __call__(self) -> bytes:
        """Return the bytes, from the cell or from the file that it names. Raises ImageError where there is neither."""
        cell = self.table[self.row][self.column]
        if cell and cell.get("bytes") is not None:
            return bytes(cell["bytes"])
        if cell and cell.get("path"):
            return Path(cell["path"]).read_bytes()
        raise ImageError(f"{self.name}: the cell holds no image", reason="missing")

    def __str__(self) -> str:
        return self.name
