"""Records: the tables of known models beside this file, measured by `benchmarks/measure_models.py`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from headstart.backbones.source import BackboneSpec


@cache
def table(source: str) -> tuple[dict[str, Any], ...]:
    """Return the rows of `<source>_models.json`: fields of BackboneSpec, and what the source itself needs."""
    text = resources.files("headstart.backbones").joinpath(f"{source}_models.json").read_text()
    return tuple(json.loads(text)["models"])


def specs(source: str) -> list[BackboneSpec]:
    """Return the record of each row, with availability still to be looked up."""
    known = set(BackboneSpec.model_fields)
    return [BackboneSpec.model_validate({"source": source} | {k: v for k, v in row.items() if k in known})
            for row in table(source)]
