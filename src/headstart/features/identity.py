"""Identity: all that a feature vector depends on besides the picture, as one hash."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing

CODE = ("headstart.images", "headstart.data.transforms", "headstart.features.eager", "headstart.features.engine",
        "headstart.features.exported", "headstart.features.pipeline")
"""Modules whose text a vector depends on: whoever edits one need not remember to raise a version."""
PACKAGES = ("numpy", "onnxruntime", "pillow", "timm", "torch", "torchvision")


def identity(backbone: Backbone, preprocessing: Preprocessing, *, engine: str) -> dict[str, str]:
    """Return what the vectors depend on, in words and hashes; equal dicts mean equal vectors."""
    modules = sorted({type(part).__module__ for part in backbone.modules() if isinstance(part, Backbone)})
    return {"engine": engine, "backbone": f"{backbone.spec.source}/{backbone.spec.architecture}",
            "weights": backbone.weights_hash(), "preprocessing": preprocessing.model_dump_json(),
            "code": _text_hash((*CODE, *modules)),
            "packages": json.dumps({name: _version(name) for name in PACKAGES}, sort_keys=True)}


def key(parts: dict[str, str]) -> str:
    """Return a short name for an identity: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _text_hash(modules: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for module in modules:
        file = getattr(sys.modules.get(module), "__file__", None)
        digest.update(module.encode() + b"\n" + (Path(file).read_bytes() if file else b""))
    return digest.hexdigest()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
