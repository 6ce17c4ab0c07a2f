"""The grid: which cells there are, in which order they run, and how long each will take.

A cell is one method on one set with so many images a class and one seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from side_by_side import methods
from side_by_side.sets import SETS, ImageSet, Parts, draw, most, parts

BACKBONE = "efficientnet_lite0"
IMAGES = (10, 50, None)
SEEDS = (0, 1, 2)
VAL = 0.2
"""Share of the drawn images that validation gets."""
STEP_RATE = 29.0
"""Images of 224 pixels a second in training, on two cores; see docs/benchmarks.md."""
SHARE_OF_STEP = {"head": 0.3, "last-2": 0.45, "norm-only": 0.6, "bias-only": 0.6}
OVERHEAD = 4.0
"""Seconds of a cell besides training: reading, decoding, the probe, the answers for test."""


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    set: str
    images: int | None
    method: str
    seed: int

    def __str__(self) -> str:
        return ":".join([self.set, "all" if self.images is None else str(self.images), self.method, str(self.seed)])

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Return the cell that `str` wrote."""
        name, images, method, seed = text.split(":")
        if name not in SETS or method not in methods.METHODS:
            raise SystemExit(f"{text}: the sets are {', '.join(SETS)}; the methods {', '.join(methods.METHODS)}.")
        return cls(name, None if images == "all" else int(images), method, int(seed))

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result but the code: what makes a result this cell's."""
        found = SETS[self.set]
        return {"set": self.set, "images": self.images, "seed": self.seed, "backbone": BACKBONE, "size": found.size,
                "val": VAL, "settings": self.settings()}

    def settings(self) -> methods.Settings:
        """Return the method as a job takes it."""
        drawn = len(draw(known(self.set), self.images, self.seed))
        return methods.settings(self.method, SETS[self.set].kind, self.images, round(drawn * (1 - VAL)))

    def key(self) -> str:
        """Return a short hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:12]

    def seconds(self) -> float:
        """Return a guess of how long the cell takes on two cores."""
        found, data = SETS[self.set], known(self.set)
        if self.method in methods.UNTRAINED:
            return OVERHEAD
        drawn = len(draw(data, self.images, self.seed))
        passes = self.settings()["epochs"]
        images = passes * drawn * ((1 - VAL) + VAL / 3) * SHARE_OF_STEP.get(self.method, 1.0) + len(data.test) / 3
        return OVERHEAD + images * (found.size / 224) ** 2 / STEP_RATE


@cache
def known(name: str) -> Parts:
    """Return the parts of a set, read once."""
    return parts(SETS[name])


def grid(sets: Iterable[ImageSet]) -> list[Cell]:
    """Return all cells in the order in which they run: whatever is done when time is up says the most.

    First seed 0, few labels before many: the core methods everywhere, then all methods on the studied sets. Then the
    other seeds of the core. Then the rest.
    """
    ranked: list[tuple[tuple[Any, ...], Cell]] = []
    for found in sets:
        for place, images in enumerate(IMAGES):
            if images is not None and images >= most(known(found.name)):
                continue  # the same as all
            for name in methods.METHODS:
                if methods.ONLY.get(name, found.kind) != found.kind:
                    continue
                for seed in SEEDS:
                    tier = _tier(name, found.name, seed)
                    if tier is not None:
                        cell = Cell(found.name, images, name, seed)
                        ranked.append(((tier, seed if tier == 2 else 0, place, list(SETS).index(found.name),
                                        list(methods.METHODS).index(name)), cell))
    return [cell for _, cell in sorted(ranked, key=lambda item: item[0])]


def _tier(name: str, in_set: str, seed: int) -> int | None:
    if name in methods.CORE:
        return 2 if seed else 0
    if seed:
        return None
    return 1 if in_set in methods.STUDIED else 3


def todo(cells: Iterable[Cell], rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Return the cells that have no result with their settings yet."""
    done = {row["key"] for row in rows}
    return [cell for cell in cells if cell.key() not in done]
