"""Hub: the door to Hugging Face's hub, and what lies in its cache and in torch's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from headstart.backbones.source import BackboneSpec
from headstart.errors import ResourceError

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def offline() -> bool:
    """Return whether the environment forbids downloads."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def cached(repository: str, names: Sequence[str] = WEIGHT_FILES) -> Path | None:
    """Return the weights' file of a hub repository if it is in the cache; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, name) for name in names)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def fetch(repository: str, names: Sequence[str] = WEIGHT_FILES) -> Path:
    """Return the weights' file of a hub repository, downloaded where it is not in the cache yet.

    names: of the files that will do, the best first.
    Raises ResourceError where it is neither here nor to be had.
    """
    here = cached(repository, names)
    if here:
        return here
    if offline():
        raise ResourceError(f"the weights {repository} are not here, and HF_HUB_OFFLINE forbids to download them.")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repository, name))
        except EntryNotFoundError as error:
            reason: Exception = error
        except (OSError, ValueError, RuntimeError) as error:  # no network, no access, no space: all end the same way
            reason = error
            break
    raise ResourceError(f"the weights {repository} are not here and could not be downloaded "
                        f"({type(reason).__name__}: {str(reason).splitlines()[0][:200]}).") from reason


def torch_cached(name: str) -> Path | None:
    """Return the file that torch.hub stored under `name`, if it is there; without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser()
    path = home / "hub" / "checkpoints" / name
    return path if path.exists() else None


def looked_up(spec: BackboneSpec, here: Path | None, *, hint: str) -> BackboneSpec:
    """Return the record with its availability: in a cache, where the file lies `here`, or to be had as `hint` says."""
    return spec.model_copy(update={"availability": "here"} if here else {"hint": hint})


def torch_looked_up(spec: BackboneSpec, file: str) -> BackboneSpec:
    """Return torchvision's record with its availability."""
    return looked_up(spec, torch_cached(file), hint="downloaded by torchvision when it is first used")
