"""Sealed: named tensors, a header of text, and a hash over the tensors, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from headstart.backbones.backbone import hash_tensors
from headstart.errors import ConfigError, IntegrityError
from headstart.files import atomic_write

FORMAT = "1"
"""Version of the layout."""


def write_sealed(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> None:
    """Write the file atomically; `format` and `sha256` are added to the header."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {**header, "format": FORMAT, "sha256": hash_tensors(plain)}
    with atomic_write(path) as file:
        file.write(ordered(save(plain, metadata=metadata)))


def ordered(data: bytes) -> bytes:
    """Return a safetensors file with the entries of its metadata in order.

    The library writes them in any order, so that equal models would be unequal files.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors aligned
    return len(text).to_bytes(8, "little") + text + data[8 + length:]


def read_sealed(path: Path, *, what: str, keys: set[str]) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return header and tensors. what: the kind of file, for messages; keys: what its header must have.

    Raises ConfigError where there is no such file; IntegrityError where it is damaged, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise ConfigError(f"{path}: there is no {what} here. Give the folder of a finished run.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise IntegrityError(f"{path}: damaged or not a {what} file ({error}). Restore it from a copy.") from None
    missing = {"format", "sha256", *keys} - set(header)
    if missing:
        raise IntegrityError(f"{path}: not a Headstart {what}: its header lacks {', '.join(sorted(missing))}.")
    if header["format"] != FORMAT:
        raise IntegrityError(f"{path}: written in layout {header['format']}, this version reads {FORMAT}.")
    if hash_tensors(tensors) != header["sha256"]:
        raise IntegrityError(f"{path}: the weights are not those that were saved. Restore the file from a copy.")
    return header, tensors


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def over(prefix: str, part: nn.Module) -> dict[str, torch.Tensor]:
    """Return every parameter and buffer of a module, `prefix` before its name."""
    return {prefix + name: tensor for name, tensor in part.state_dict().items()}
