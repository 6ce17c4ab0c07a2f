"""State dicts: read tensors from a file safely, and say in words how they fit a model."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.errors import ConfigError, IntegrityError, listed

NESTED_UNDER = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
PICKLED = {".pth", ".pt", ".bin", ".ckpt"}

Tensors = dict[str, torch.Tensor]


def require_file(path: Path) -> None:
    """Raise ConfigError where there is no file at the path."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file of weights, or folder. Check the path after the @.")


def read_tensors(path: Path) -> Tensors:
    """Return the named tensors of a .safetensors, .pth, .pt, .bin or .ckpt file, without running code from it.

    A dict nested under `state_dict` or `model`, and prefixes such as `module.` on every name, are unwrapped.
    Raises ConfigError where there is no such file, IntegrityError where it is damaged or holds more than tensors.
    """
    require_file(path)
    if path.suffix == ".safetensors":
        return _without_prefixes(_read_safetensors(path))
    if path.suffix not in PICKLED:
        raise ConfigError(f'{path}: weights are read from .safetensors, {", ".join(sorted(PICKLED))}; '
                          f'not from "{path.suffix}".')
    return _without_prefixes(_unnested(_read_pickle(path), path))


@dataclass(frozen=True)
class Fit:
    """How named tensors fit a model."""

    missing: tuple[str, ...]
    """Names that the model has and the file has not."""
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    """`name: [64, 3, 7, 7] in the file, [64, 1, 7, 7] in the model`."""

    @property
    def exact(self) -> bool:
        """Whether every tensor has its place."""
        return not (self.missing or self.unexpected or self.mismatched)

    def report(self) -> str:
        """Return the differences, each kind with its first few names."""
        parts = [("in the model but not in the file", self.missing), ("in the file but not in the model",
                 self.unexpected), ("of another shape", self.mismatched)]
        return "\n".join(f"{len(names)} {what}:\n{listed(names)}" for what, names in parts if names)


def compare(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> Fit:
    """Return how the tensors of a file (`found`) fit those of a model (`expected`)."""
    # A BatchNorm's count of batches is not used for inference, and old files lack it.
    missing = [name for name in expected if name not in found and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in found if name not in expected]
    mismatched = [f"{name}: {list(found[name].shape)} in the file, {list(tensor.shape)} in the model"
                  for name, tensor in expected.items() if name in found and found[name].shape != tensor.shape]
    return Fit(tuple(missing), tuple(unexpected), tuple(mismatched))


def _read_safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise IntegrityError(f"{path}: damaged, or not a safetensors file ({error}). Fetch it again.") from None


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        if "weights only" in str(error).lower() or "weights_only" in str(error):
            raise IntegrityError(f"{path}: it holds Python objects besides tensors, which could run code when read, so "
                                 "it is not opened. Where you trust its origin, save the tensors alone: "
                                 "torch.save(model.state_dict(), ...), or as .safetensors.") from None
        raise IntegrityError(f"{path}: damaged, or not a file of torch.save ({reason}). Fetch it again.") from None
    except Exception as error:  # torch's reader lets struct.error, IndexError and more out of damaged files
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise IntegrityError(f"{path}: damaged, or not a file of torch.save ({reason}). Fetch it again.") from None


def _unnested(value: Any, path: Path) -> Tensors:
    """Return the dict of tensors, which may lie under a key of a checkpoint."""
    for key in NESTED_UNDER:
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if isinstance(value, Mapping) and value and all(isinstance(item, torch.Tensor) for item in value.values()):
        return dict(value)
    keys = ", ".join(map(str, list(value)[:8])) if isinstance(value, Mapping) else type(value).__name__
    raise IntegrityError(f"{path}: no state dict in it, at its top or under {', '.join(NESTED_UNDER)}; "
                         f"it holds: {keys}. Save model.state_dict() alone.")


def _without_prefixes(tensors: Tensors) -> Tensors:
    """Strip what DataParallel, torch.compile or a wrapper put before every name."""
    while prefix := next((p for p in PREFIXES if tensors and all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
