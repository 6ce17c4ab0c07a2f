"""Records: what the judgements keep on disk, each in a folder of its own: where it goes, and how it is read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from headstart.errors import ConfigError, HeadstartError, IntegrityError
from headstart.events import Listen, Note
from headstart.files import make_folder, read_json, refuse_taken, refuse_unwritable
from headstart.job import Job
from headstart.runs import free_directory

Record = TypeVar("Record")


def refuse_place(directory: Path | None, folder: str) -> None:
    """Raise ConfigError where `new_folder` could not make its folder: before the work, not after it."""
    refuse_taken(directory)
    refuse_unwritable(directory or Path(folder))


def new_folder(directory: Path | None, folder: str, job: Job) -> Path:
    """Return `directory`, or the next free one in `folder` that is named after the job's data; it is there."""
    target = directory or free_directory(Path(folder), Path(job.data).name or "data")
    make_folder(target)
    return target


def read_record(path: Path, build: Callable[[dict[str, Any]], Record], *, what: str, verb: str) -> Record:
    """Return what `build` makes of the file's plain values.

    Raises ConfigError where there is no such file, IntegrityError where `build` can't do with what it holds.
    """
    if not path.exists():
        raise ConfigError(f"{path.parent}: there is no {path.name} here. Make one with `headstart {verb} DATA`.")
    try:
        return build(read_json(path))
    except (TypeError, KeyError, ValueError) as error:
        said = "; ".join(line.strip() for line in str(error).splitlines()[:3])
        raise IntegrityError(f"{path}: not a whole {what} ({said}). "
                             f"Make it anew with `headstart {verb}`.") from None


def newest(folder: Path, name: str, load: Callable[[Path], Record], fits: Callable[[Record], bool], *,
           listen: Listen) -> Record | None:
    """Return the newest record called `name` below `folder` that fits; a damaged one is told of and passed over."""
    for path in sorted(folder.glob(f"*/{name}"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            found = load(path.parent)
        except HeadstartError as error:
            listen(Note(f"{error} It is passed over.", "warning"))
            continue
        if fits(found):
            return found
    return None
