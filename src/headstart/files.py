"""Files that are whole or absent: atomic writes, hashes, locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Container, Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO, Any

from headstart.errors import ConfigError, IntegrityError, ResourceError


def sha256_bytes(data: bytes) -> str:
    """Return the hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of the file's contents, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` complete, synced and at once, or not at all.

    The temporary file lies in the target's own folder: a rename across file systems is a copy that can tear.
    Raises ResourceError when the disk is full or the place can't be written; what stood at `path` before stays.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(path.parent).free
            raise ResourceError(f"{path}: the disk is full ({free / 1e6:.0f} MB free). Nothing that was there is "
                                "lost. Free some space, then go on with `headstart resume`.") from error
        if error.filename == str(temporary):
            raise ResourceError(f"{path}: can't be written ({error.strerror}). Choose another place for it.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there. Raises ResourceError where that can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{folder}: this folder can't be made ({error.strerror}). Choose another place.") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises IntegrityError where it is missing or damaged."""
    value = _parsed(path)
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: expected a JSON object.")
    return value


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """Return the list of objects in a JSON file. Raises IntegrityError where it is missing or damaged."""
    value = _parsed(path)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise IntegrityError(f"{path}: expected a list of JSON objects.")
    return value


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path}: missing or damaged ({error}). Restore it from a copy.") from None


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_foreign(folder: Path, *, ours: Container[str]) -> None:
    """Raise ConfigError where something lies in `folder` that is not `ours`: nothing may be mixed with it."""
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in ours and path.name[0] != ".")
        if others:
            raise ConfigError(f"{folder}: this folder holds other things already ({', '.join(others[:3])}"
                              f"{', ...' if len(others) > 3 else ''}). Choose another --out.")


def refuse_taken(folder: Path | None) -> None:
    """Raise ConfigError where a new folder can't be made: something lies there, or what is above it can't be written.

    None stands for one yet to be named. What takes minutes is not begun to find out at its end.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "this folder is not empty" if folder.is_dir() else "this is a file"
        raise ConfigError(f"{folder}: {what}. Choose another --out.")
    if folder is not None:
        refuse_unwritable(folder)


def refuse_unwritable(place: Path) -> None:
    """Raise ConfigError where nothing can be made at `place`: the nearest folder above it takes no folder."""
    above = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    if not above.is_dir():
        raise ConfigError(f"{place}: {above} is a file, so that nothing can be made in it. Choose another --out.")
    trial = above / f".headstart-{os.getpid()}"
    try:
        # Asking for permission alone is not enough: /proc and disks mounted for reading say yes to root.
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise ConfigError(f"{place}: nothing can be made in {above} ({error.strerror}). "
                          "Choose another --out.") from None


def is_held(folder: Path) -> bool:
    """Return whether a living process holds `folder`, as `exclusive` does."""
    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no lock, or none that can be asked
    return False


def has_lock_alone(folder: Path) -> bool:
    """Return whether nothing is in `folder` but what `exclusive` makes."""
    return [path.name for path in folder.iterdir()] == [".lock"]


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone.

    Raises ConfigError if it can't be written, or, naming the holder, if another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+")
    except OSError as error:
        raise ConfigError(f"{folder}: this folder can't be written ({error.strerror}). Choose another --out.") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise ConfigError(f"{folder}: another headstart process (pid {file.read().strip() or 'unknown'}) is "
                              "writing here. Wait for it, or choose another --out.") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            if has_lock_alone(folder):
                # Nothing came of it: leave no empty folder behind.
                (folder / ".lock").unlink()
                folder.rmdir()


def cache_folder() -> Path:
    """Return the cache directory: $HEADSTART_CACHE, else $XDG_CACHE_HOME/headstart, else ~/.cache/headstart."""
    own = os.environ.get("HEADSTART_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "headstart"


def distinct_stems(paths: Sequence[str], *, taken: Collection[str] = ()) -> list[str]:
    """Return a file name without ending for each path: its own, with a number where others have the same.

    taken: names, lower case, that none may have.
    """
    used, names = set(taken), []
    for path in paths:
        stem = PurePath(path).stem or "image"
        name, number = stem, 1
        # As file systems that do not tell cases apart see them.
        while name.lower() in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name.lower())
        names.append(name)
    return names
