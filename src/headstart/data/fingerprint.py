"""Fingerprint: one hash over contents and labels, wherever the files lie and in whatever order."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.errors import DataError, listed
from headstart.files import cache_folder, sha256_bytes, sha256_file
from headstart.images import title
from headstart.types import ImageSource, Instance, MaskFiles, MaskShapes

log = logging.getLogger("headstart")

SCHEMA = """CREATE TABLE IF NOT EXISTS sealed_hashes (path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER,
            changed INTEGER, inode INTEGER, seen INTEGER, sha256 TEXT, seal TEXT) WITHOUT ROWID"""
Stamp = tuple[int, int, int, int]
"""Size, modification and change time in ns, inode: a file of the same stamp is the same file."""


def fingerprint(dataset: Dataset, *, hashes: Sequence[str] | None = None, cache: Path | None = None) -> str:
    """Return a hex SHA-256 of which images have which labels, marks, weights and given splits, and of the classes.

    Independent of paths, order and place; changes with a byte of an image, a label, a class name.
    hashes: what `content_hashes` returned, if known.
    """
    contents = content_hashes(dataset, cache=cache) if hashes is None else hashes
    masks = _masks(dataset, cache)
    rows = []
    for sample, content in zip(dataset.samples, contents, strict=True):
        labels = sample.label if isinstance(sample.label, tuple) else (sample.label,)
        names = sorted(dataset.classes[label] for label in labels if label is not None)
        row = (content, names, sample.split, float(sample.weight))
        marks = () if sample.objects is None else (_objects(dataset, sample.objects),)
        rows.append(repr((*row, *marks, *masks.get(sample.id, ()))))
    return sha256_bytes("\n".join([repr((dataset.task, dataset.classes)), *sorted(rows)]).encode("utf-8", "replace"))


def _masks(dataset: Dataset, cache: Path | None) -> dict[str, list[str]]:
    """Return for each sample with a mask what its files hold and what their numbers mean, or what is drawn."""
    masks = {sample.id: sample.mask for sample in dataset.samples if sample.mask is not None}
    files = [source for mask in masks.values() if isinstance(mask, MaskFiles) for source in mask.sources]
    hashes = iter(hashes_of(files, cache=cache))
    return {name: [_shapes(dataset, mask)] if isinstance(mask, MaskShapes) else [
        repr((next(hashes), sorted((value, _named(dataset, label)) for value, label in codes.labels.items()),
              sorted(codes.ignored), _named(dataset, codes.others), codes.colours, _named(dataset, mask.unmarked)))
        for codes in mask.codes] for name, mask in masks.items()}


def _shapes(dataset: Dataset, mask: MaskShapes) -> str:
    # In their order: of two that are equally large, the later one lies above.
    return repr((mask.size, _named(dataset, mask.unmarked), [
        (_named(dataset, found.label), found.crowd, found.polygons, found.rle) for found in mask.objects]))


def _named(dataset: Dataset, label: int | None) -> str:
    return dataset.classes[label] if label is not None and label < len(dataset.classes) else f"no class {label}"


def _objects(dataset: Dataset, objects: Sequence[Instance]) -> list[str]:
    return sorted(repr((dataset.classes[found.label], found.box, found.crowd, found.difficult, found.polygons,
                        found.rle)) for found in objects)


def content_hashes(dataset: Dataset, *, cache: Path | None = None) -> list[str]:
    """Return the hex SHA-256 of each sample's encoded bytes, in order. Raises DataError listing missing files."""
    return hashes_of([sample.source for sample in dataset.samples], cache=cache)


def overlap(first: Dataset, second: Dataset) -> int:
    """Return how many images of the second set are in the first as well, byte for byte."""
    known = set(content_hashes(first))
    return sum(content in known for content in content_hashes(second))


def hashes_of(sources: Sequence[ImageSource], *, cache: Path | None = None) -> list[str]:
    """Return the hex SHA-256 of the bytes of each source, in order.

    cache: SQLite file that remembers the hash of a file by path, size, times and inode; None takes the user's cache.
    A cache that is damaged, busy or read-only costs time, never the result. Raises DataError listing missing files.
    """
    stamps = [_stamp(source) for source in sources]
    known = _recall(cache or cache_folder() / "hashes.sqlite", sources, stamps)
    now = time.time_ns()
    todo = [i for i, digest in enumerate(known) if digest is None]
    failures: list[str] = []

    def digest(i: int) -> str:
        try:
            return _hash(sources[i])
        except OSError as error:
            failures.append(f"{title(sources[i])}: {error.strerror or error}")
            return ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        fresh = dict(zip(todo, pool.map(digest, todo), strict=True))
    if failures:
        raise DataError(f"{len(failures)} images can't be read:\n{listed(sorted(failures))}\n"
                        "Restore them, or leave them out with `--set skip_bad=true` (adapt: `--skip-bad`).")
    _remember(cache or cache_folder() / "hashes.sqlite",
              [(_key(source), *stamp, now, fresh[i]) for i in todo
               if isinstance(source := sources[i], Path) and (stamp := stamps[i]) and stamp == _stamp(source)])
    return [known[i] or fresh[i] for i in range(len(sources))]


def _hash(source: ImageSource) -> str:
    return sha256_file(source) if isinstance(source, Path) else hashlib.sha256(source()).hexdigest()


def _key(path: Path) -> bytes:
    return os.fsencode(os.path.abspath(path))


def _stamp(source: ImageSource) -> Stamp | None:
    try:
        status = source.stat() if isinstance(source, Path) else None
    except OSError:
        return None  # hashing it will say why
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino) if status else None


def _settled(stamp: Stamp, seen: int) -> bool:
    """Return whether the file had been left alone, when it was hashed, for longer than its clock's tick.

    A file that is written twice within one tick keeps its times; a whole second is the tick of some file systems.
    """
    newest = max(stamp[1], stamp[2])
    tick = 2_000_000_000 if newest % 1_000_000_000 == 0 else 50_000_000
    return newest + tick < seen


@contextlib.contextmanager
def _opened(path: Path):  # type: ignore[no-untyped-def]
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as store, store:
        store.execute(SCHEMA)
        yield store


def _recall(path: Path, sources: Sequence[ImageSource], stamps: Sequence[Stamp | None]) -> list[str | None]:
    """Return the known hash of each file that has not changed since, else None."""
    nothing: list[str | None] = [None] * len(sources)
    if not path.exists():
        return nothing
    try:
        with _opened(path) as store:
            return [_lookup(store, source, stamp) if isinstance(source, Path) and stamp else None
                    for source, stamp in zip(sources, stamps, strict=True)]
    except sqlite3.OperationalError as error:
        log.warning("%s: the cache of hashes is not available (%s); hashing anew", path, error)
    except sqlite3.DatabaseError as error:
        log.warning("%s: the cache of hashes is damaged (%s); it is made anew", path, error)
        for part in (path, *(path.with_name(path.name + end) for end in ("-journal", "-wal", "-shm"))):
            part.unlink(missing_ok=True)
    return nothing


def _lookup(store: sqlite3.Connection, path: Path, stamp: Stamp) -> str | None:
    row = store.execute("SELECT path, size, mtime, changed, inode, seen, sha256, seal FROM sealed_hashes "
                        "WHERE path = ?", (_key(path),)).fetchone()
    if not row or row[1:5] != stamp or not _settled(stamp, row[5]):
        return None
    # SQLite takes a file that was cut for whole, and reads zeros where it ends.
    return row[6] if row[7] == _seal(row[:7]) else None


def _seal(row: tuple[bytes, int, int, int, int, int, str]) -> str:
    return sha256_bytes(repr(row).encode())


def _remember(path: Path, rows: Sequence[tuple[bytes, int, int, int, int, int, str]]) -> None:
    """Keep the hashes, in one transaction: another process sees all of them or none."""
    if not rows:
        return
    try:
        with _opened(path) as store:
            store.executemany("INSERT OR REPLACE INTO sealed_hashes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                              [(*row, _seal(row)) for row in rows])
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: the hashes can't be kept (%s); the next call hashes anew", path, error)
