"""Every error that Headstart raises on purpose, and the exit code of each.

    HeadstartError            base, never raised itself
    ├── ConfigError       2   a setting, name or argument is wrong
    ├── DataError         3   the user's images or labels are wrong
    ├── DivergedError     4   training produced NaN or infinity and could not recover
    ├── ResourceError     5   memory, disk, a worker or an optional package is missing
    ├── IntegrityError    6   a file is not what its receipt says
    └── Interrupted  130/143  the user (SIGINT) or the scheduler (SIGTERM) asked to stop

Exit code 0 is done, 70 a bug of ours.
A message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

EXIT_BUG = 70


class HeadstartError(Exception):
    """Base of every error that is meant for the user to read."""

    exit_code: int = EXIT_BUG


class ConfigError(HeadstartError):
    """A setting, a name or an argument is wrong."""

    exit_code = 2


class DataError(HeadstartError):
    """The images or the labels are wrong, or can't carry the task."""

    exit_code = 3


class DivergedError(HeadstartError):
    """Training produced NaN or infinity and recovery was exhausted."""

    exit_code = 4


class ResourceError(HeadstartError):
    """Memory, disk space, a worker process or an optional package is missing."""

    exit_code = 5


class IntegrityError(HeadstartError):
    """A file is damaged, or is not what its receipt says."""

    exit_code = 6


class Interrupted(HeadstartError):
    """A signal asked the run to stop; what was done so far is saved."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def nearest(word: str, choices: Iterable[str], *, shown: int = 30) -> str:
    """Return ` Did you mean "x"? Choices: ...` for an unknown word, with so many choices; part of an error message."""
    names = sorted(choices)
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    hint = f' Did you mean "{by_lower[close[0]]}"?' if close else ""
    some = ", ".join(names[:shown]) + (f", ... ({len(names)} in all)" if len(names) > shown else "")
    return f"{hint} Choices: {some}." if names else hint


def listed(items: Sequence[object], *, shown: int = 5) -> str:
    """Return the first few items on a line each, with the number of those left out."""
    lines = [f"  {item}" for item in items[:shown]]
    if len(items) > shown:
        lines.append(f"  ... and {len(items) - shown} more")
    return "\n".join(lines)
