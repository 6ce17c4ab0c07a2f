"""FeatureStore: pooled features on disk, keyed by all that they depend on.

A folder for each identity (weights, preprocessing, code, versions, engine); in it, vectors by the hash of the image's
bytes. Whatever changes, the key changes with it, so that nothing stale is ever found.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Dataset
from headstart.data.findings import counted
from headstart.data.fingerprint import content_hashes
from headstart.data.transforms import Preprocessing
from headstart.errors import ResourceError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.features.engine import engine_name, stream
from headstart.features.identity import identity, key
from headstart.features.pipeline import Decoded
from headstart.features.shards import Shards
from headstart.files import write_json
from headstart.types import ImageSource

# N samples, D features, B images in a batch

STEP = "features"
SHARD_ROWS = 256
"""Vectors in a shard: what a killed run loses at most."""
IN_MEMORY_BYTES = 2**30
"""A larger result is a memory map on disk."""


class FeatureStore:
    """Keeps features under `folder`. Several processes may use one folder at the same time.

    images: how many images there are in all, where `features` is asked for parts of them: it decides how they are
    computed, so that a part and the whole find each other's. None: each call counts for itself.
    decoded: pictures that several backbones share.
    """

    def __init__(self, folder: Path, *, images: int | None = None, decoded: Decoded | None = None) -> None:
        self.folder, self.images, self.decoded = folder, images, decoded

    def features(self, backbone: Backbone, preprocessing: Preprocessing, dataset: Dataset, *, listen: Listen,
                 device: str = "cpu", workers: int = 0) -> np.ndarray:
        """Return float32 [N, D] in the order of the samples; computed only for images not stored yet.

        Images with the same bytes are computed once. Above 1 GiB the result is a memory map, whose file is gone
        when the array is. Where the cache can't be written (disk full, read-only), the result is the same and a Note
        tells that nothing was kept.
        Raises DataError naming an image that can't be read.
        """
        began = time.monotonic()
        count = max(len(dataset), self.images or 0)
        parts = identity(backbone, preprocessing, engine=engine_name(count, preprocessing.size, device=device))
        shards = Shards(self.folder / key(parts), width=backbone.width)
        shards.sweep()
        result = self._result(len(dataset), backbone.width, listen)
        wanted = _rows_by_content(content_hashes(dataset))
        for contents, vectors in shards.read(listen):
            for content, vector in zip(contents, vectors, strict=True):
                result[wanted.pop(content, [])] = vector
        listen(Started(STEP, len(wanted), "images"))
        writer = _Writer(shards, parts, listen)
        missing = [_Witness(dataset.samples[rows[0]].source, content, self.decoded)
                   for content, rows in wanted.items()]
        for rows, vectors in stream(backbone, preprocessing, missing, listen=listen, count=count,
                                    device=device, workers=workers):
            for witness, vector in zip(missing[rows], vectors, strict=True):
                result[wanted[witness.expected]] = vector
                writer.add(witness.seen, vector)
            listen(Progress(STEP, rows.stop))
        writer.flush()
        _tell_changed(missing, listen)
        listen(Finished(STEP, time.monotonic() - began, f"{counted(len(dataset), 'image')}, {len(missing)} computed"))
        return result

    def _result(self, rows: int, width: int, listen: Listen) -> np.ndarray:
        """Return float32 [rows, width] in memory or, if that is large, in an unnamed file of the cache."""
        size = rows * width * 4
        if size <= IN_MEMORY_BYTES:
            return np.empty((rows, width), np.float32)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as file:
                # Reserved at once: a map that finds the disk full while it is written kills the process.
                os.posix_fallocate(file.fileno(), 0, size)
                return np.memmap(file, np.float32, "r+", shape=(rows, width))
        except OSError as error:
            listen(Note(f"{self.folder}: no room for {size / 1e9:.1f} GB of features ({error.strerror}); they are "
                        "kept in memory.", level="warning"))
            return np.empty((rows, width), np.float32)


class _Writer:
    """Collects vectors into shards; gives up with one Note where the cache can't be written."""

    def __init__(self, shards: Shards, parts: dict[str, str], listen: Listen) -> None:
        self.shards, self.parts, self.listen = shards, parts, listen
        self.rows: dict[str, np.ndarray] = {}
        self.works = True

    def add(self, content: str, vector: np.ndarray) -> None:
        self.rows[content] = vector
        if len(self.rows) >= SHARD_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.works and self.rows:
            try:
                if not (self.shards.folder / "identity.json").exists():
                    write_json(self.shards.folder / "identity.json", self.parts)
                self.shards.write(self.rows)
            except (OSError, ResourceError) as error:
                self.works = False
                self.listen(Note(f"{self.shards.folder}: features can't be kept ({error}). The run goes on; the next "
                                 "one computes them again.", level="warning"))
        self.rows = {}


class _Witness:
    """An image that remembers the hash of the very bytes that were decoded: the file may change under our hands."""

    __slots__ = ("decoded", "expected", "seen", "source")

    def __init__(self, source: ImageSource, expected: str, decoded: Decoded | None) -> None:
        self.source, self.expected, self.seen, self.decoded = source, expected, expected, decoded

    def pixels(self, preprocessing: Preprocessing) -> np.ndarray:
        if self.decoded is None:
            return preprocessing.pixels(self)
        return self.decoded.pixels(preprocessing, self, self.expected)

    def __call__(self) -> bytes:
        data = self.source.read_bytes() if isinstance(self.source, Path) else self.source()
        self.seen = hashlib.sha256(data).hexdigest()
        return data

    def __str__(self) -> str:
        return str(self.source)


def _rows_by_content(contents: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of each content, in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, content in enumerate(contents):
        rows.setdefault(content, []).append(row)
    return rows


def _tell_changed(witnesses: Sequence[_Witness], listen: Listen) -> None:
    changed = [str(witness) for witness in witnesses if witness.seen != witness.expected]
    if changed:
        listen(Note(f"{changed[0]} changed after the data were scanned"
                    + (f", as did {len(changed) - 1} more files" if len(changed) > 1 else "")
                    + "; the features are those of the new contents. Run `headstart check` again.", level="warning"))
