"""Journal: what a run has to tell its tracker, on disk first, so that a tracker that is down costs nothing.

It lies in the run directory as `.tracking.jsonl`: one record a line, and a `delivered` line after each record that
the tracker took. Records are delivered in order and may be delivered twice (after a crash in between); the tracker's
side is idempotent. The process that runs, and the one that delivers for it, share a lock on the file: whoever can
take the lock knows that both are gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FILE_NAME = ".tracking.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened."""

    kind: Literal["start", "metrics", "end"]
    run: str
    """Identifier of the run; a resumed run keeps the one it had."""
    words: Mapping[str, str] = field(default_factory=dict)
    """The settings, in a `start`."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Metrics by name, in `metrics` and `end`; NaN and infinity are allowed."""
    step: int = 0
    status: str = ""
    """MLflow's word for how the run ended, in an `end`: FINISHED, KILLED or FAILED."""
    milliseconds: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """Unix time; it goes into the tracker, so that a late delivery shows the true time."""


class Journal:
    """The journal of one run directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME

    def append(self, record: Record) -> None:
        """Add a record and sync it to disk. Raises OSError where that fails."""
        self._write({name: value for name, value in asdict(record).items() if value})

    def mark_delivered(self, count: int) -> None:
        """Note that the first `count` records have reached the tracker."""
        self._write({"delivered": count}, sync=False)

    def records(self) -> list[Record]:
        """Return every record, oldest first."""
        return [Record(**line) for line in self._lines() if "kind" in line]

    def delivered(self) -> int:
        """Return how many records the tracker has."""
        return max((line["delivered"] for line in self._lines() if "delivered" in line), default=0)

    def settled(self) -> bool:
        """Return whether the run has ended and the tracker knows all of it."""
        records = self.records()
        return not records or (records[-1].kind == "end" and self.delivered() >= len(records))

    def close_as_killed(self) -> None:
        """Give a run whose process is gone the end that it could not write."""
        records = self.records()
        if records and records[-1].kind != "end":
            self.append(Record("end", records[-1].run, status="KILLED"))

    @contextlib.contextmanager
    def held(self) -> Iterator[int | None]:
        """Hold the journal while in the block, as the descriptor of the lock; None where another process has it."""
        handle = os.open(self.path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield handle
        finally:
            os.close(handle)

    def abandoned(self) -> bool:
        """Return whether nobody is running or delivering this run any more."""
        if not self.path.exists():
            return True
        with self.held() as handle:
            return handle is not None

    def _write(self, line: Mapping[str, Any], *, sync: bool = True) -> None:
        with self.path.open("ab+") as file:
            # A kill in the middle of a write leaves half a line: start a new one instead of spoiling this one, too.
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            torn = file.read(1) not in (b"", b"\n")
            file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")  # NaN is a word here
            file.flush()
            if sync:
                os.fsync(file.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # torn by a kill
                found.append(json.loads(line))
        return found
