"""Shards: vectors on disk in small files that never change, each named by the hash of its own bytes.

There is no index that two writers could tear: what is in a folder is what its sound shards say. A shard whose bytes
are not those of its name is dropped, and what it held is computed again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from headstart.events import Listen, Note
from headstart.files import atomic_write, sha256_bytes

# n vectors in a shard, D features

ABANDONED_SECONDS = 3600.0
"""A temporary file older than this belongs to a writer that was killed."""
_writing = threading.Lock()


class Shards:
    """The shards in one folder. Vectors are keyed by the SHA-256 of the image file, 64 hexadecimal digits."""

    def __init__(self, folder: Path, *, width: int) -> None:
        self.folder = folder
        self.width = width

    def read(self, listen: Listen) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield (contents, float32 [n, D]) of each sound shard; drop the others, with a Note."""
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # another process dropped it between the listing and now
            except OSError as error:
                listen(Note(f"{path}: can't be read ({error.strerror}); its features are computed again.",
                            level="warning"))
                continue
            found = self._sound(data, path.stem)
            if found is None:
                listen(Note(f"{path}: the stored features are damaged; they are dropped and computed again.",
                            level="warning"))
                with contextlib.suppress(OSError):  # a read-only cache keeps it, and it is passed over each time
                    path.unlink()
                continue
            yield found

    def write(self, vectors: Mapping[str, np.ndarray]) -> Path:
        """Store float32 [D] vectors by content as one shard. Raises OSError or ResourceError where it can't."""
        contents = np.frombuffer(bytes.fromhex("".join(vectors)), np.uint8).reshape(len(vectors), 32)
        data = save({"contents": contents, "vectors": np.stack(list(vectors.values()))})
        path = self.folder / f"{sha256_bytes(data)}.safetensors"
        with _writing:  # a temporary file is named by its process; two threads may write the same shard
            if not path.exists():
                with atomic_write(path) as file:
                    file.write(data)
        return path

    def sweep(self) -> None:
        """Remove what killed writers left."""
        for path in self.folder.glob(".*.tmp-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def _sound(self, data: bytes, name: str) -> tuple[list[str], np.ndarray] | None:
        if sha256_bytes(data) != name:
            return None
        try:
            tensors = load(data)
        except SafetensorError:
            return None
        contents, vectors = tensors.get("contents"), tensors.get("vectors")
        if contents is None or vectors is None or vectors.shape != (len(contents), self.width):
            return None
        return [row.tobytes().hex() for row in contents], vectors
