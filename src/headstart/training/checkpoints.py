"""Checkpoints: at every instant at least one whole, verified one exists, once the first was written.

A checkpoint is a folder `ckpt-000123`. It is written beside its final name, synced, described by a manifest with
hashes, and only then renamed; a kill at any moment leaves the one before it untouched.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from headstart.errors import IntegrityError, ResourceError
from headstart.events import Listen, Note
from headstart.files import sha256_bytes, sync_folder

MANIFEST = "MANIFEST.json"
LEDGER = "ledger.jsonl"
WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optim.safetensors", "state.json"
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds."""

    serial: int
    state: dict[str, Any]
    weights: Tensors
    optimizer: Tensors


class Checkpoints:
    """The checkpoints of one training, all inside `folder`."""

    def __init__(self, folder: Path, listen: Listen) -> None:
        self.folder = folder
        self.listen = listen
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        self.next = 1 + max([0, *self._serials(), *self._ledger()])
        """Serial number of the checkpoint that is written next."""

    def save(self, state: Mapping[str, Any], weights: Tensors, optimizer: Tensors, *, keep: int | None) -> int:
        """Write a checkpoint, then drop all others but number `keep`; return its serial number.

        Raises ResourceError when the disk is full; the checkpoints that were there stay.
        """
        serial = self.next
        contents = {WEIGHTS: _packed(weights), OPTIMIZER: _packed(optimizer),
                    STATE: json.dumps(dict(state)).encode()}
        temporary = self.folder / f"ckpt-{serial:06d}.tmp-{os.getpid()}"
        try:
            self._write(temporary, contents)
            temporary.rename(self._path(serial))
            sync_folder(self.folder)
            self._note_down({"checkpoint": serial, "best": keep, "step": state.get("step")})
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._disk_full(sum(map(len, contents.values()))) from error
        self.next = serial + 1
        for old in self._serials():
            if old not in (serial, keep):
                shutil.rmtree(self._path(old))
        return serial

    def newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None. A damaged one is set aside as `.corrupt` and told of."""
        for serial in sorted(self._serials(), reverse=True):
            try:
                return self.read(serial)
            except IntegrityError as error:
                aside = self._path(serial).with_suffix(".corrupt")
                shutil.rmtree(aside, ignore_errors=True)
                self._path(serial).rename(aside)
                self.listen(Note(f"{error} It is set aside as {aside.name}; the one before it is used.", "warning"))
        if self._ledger():
            self.listen(Note(f"{self.folder}: no whole checkpoint is left, training starts from the beginning.",
                             "warning"))
        return None

    def read(self, serial: int) -> Checkpoint:
        """Return checkpoint `serial`. Raises IntegrityError if it is missing or not what its manifest says."""
        path = self._path(serial)
        try:
            manifest = json.loads((path / MANIFEST).read_text())
            contents = {name: (path / name).read_bytes() for name in manifest["files"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{path}: the checkpoint is incomplete ({error}).") from None
        for name, data in contents.items():
            if sha256_bytes(data) != manifest["files"][name]["sha256"]:
                raise IntegrityError(f"{path / name}: the checkpoint is damaged, its hash is not the one written.")
        if not {WEIGHTS, OPTIMIZER, STATE} <= set(contents):
            raise IntegrityError(f"{path}: not a checkpoint of Headstart.")
        return Checkpoint(serial, json.loads(contents[STATE]), load(contents[WEIGHTS]), load(contents[OPTIMIZER]))

    def require_space(self, size: int) -> None:
        """Raise ResourceError unless three checkpoints of `size` bytes fit: the last, the best, and the one written."""
        free = shutil.disk_usage(self.folder).free
        if free < 3 * size:
            raise ResourceError(f"{self.folder}: checkpoints need {3 * size / 1e6:.0f} MB, the disk has "
                                f"{free / 1e6:.0f} MB free. Free some space, or choose another --out.")

    def _path(self, serial: int) -> Path:
        return self.folder / f"ckpt-{serial:06d}"

    def _serials(self) -> list[int]:
        return [int(path.name[5:]) for path in self.folder.glob("ckpt-*") if path.name[5:].isdigit()]

    def _write(self, folder: Path, contents: Mapping[str, bytes]) -> None:
        folder.mkdir()
        for name, data in contents.items():
            _write_synced(folder / name, data)
        manifest = {"format": 1, "finite": True, "torch": str(torch.__version__),
                    "files": {name: {"sha256": sha256_bytes(data), "size": len(data)}
                              for name, data in contents.items()}}
        _write_synced(folder / MANIFEST, json.dumps(manifest, indent=2).encode())
        sync_folder(folder)

    def _note_down(self, line: Mapping[str, Any]) -> None:
        with (self.folder / LEDGER).open("a") as file:
            file.write(json.dumps(dict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _ledger(self) -> list[int]:
        """Return the serial numbers that were ever written; a torn last line is left out."""
        path = self.folder / LEDGER
        lines = path.read_text().splitlines() if path.exists() else []
        found = []
        for line in lines:
            try:
                found.append(int(json.loads(line)["checkpoint"]))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _sweep(self) -> None:
        """Remove what processes that are dead left half written."""
        for path in self.folder.glob("*.tmp-*"):
            pid = path.name.rpartition("-")[2]
            if not (pid.isdigit() and _alive(int(pid))) or int(pid) == os.getpid():
                shutil.rmtree(path, ignore_errors=True)

    def _disk_full(self, size: int) -> ResourceError:
        free = shutil.disk_usage(self.folder).free
        return ResourceError(f"{self.folder}: the disk is full; a checkpoint needs {size / 1e6:.1f} MB, there are "
                             f"{free / 1e6:.1f} MB. The checkpoint before is whole. Free some space, then go on with "
                             "`headstart resume`.")


def _packed(tensors: Tensors) -> bytes:
    return save({name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
                 for name, tensor in tensors.items()})


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
