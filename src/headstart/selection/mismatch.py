"""Mismatch: how two sets of images differ, how far that matters, and what is said of it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.selection.apart import LEVELS, Apart, Level
from headstart.selection.appearance import Difference
from headstart.selection.prospects import Prospects
from headstart.selection.source_domain import SourceDomain

FOLDER, RECORD, PAGE = "mismatches", "mismatch.json", "mismatch.html"
Mode = Literal["sets", "alone", "run"]


@dataclass(frozen=True)
class Comparison:
    """Two sets of images, compared."""

    first: str
    """What the set is called."""
    second: str
    apart: Apart
    appearance: tuple[Difference, ...]
    formats: tuple[dict[str, float], dict[str, float]]
    """Share of each file format among the pictures whose appearance was measured."""
    prospects: Prospects | None
    """None where no labels say what to expect."""

    @property
    def level(self) -> Level:
        """The mismatch in a word; `Apart.level` says by which rule."""
        return self.apart.level(None if self.prospects is None else self.prospects.loss)

    @property
    def striking(self) -> list[Difference]:
        """What differs to the eye by more than chance and more than negligibly, the largest effect first."""
        return sorted((one for one in self.appearance if one.tells), key=lambda one: -abs(one.effect))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"first": self.first, "second": self.second, "images": list(self.apart.counts), "level": self.level,
                **self.apart.to_json(),
                "appearance": {one.name: {"first": one.first, "second": one.second, "effect": one.effect,
                                          "tells": one.tells} for one in self.appearance},
                "differs_most": [one.name for one in self.striking],
                "formats": list(self.formats),
                "prospects": None if self.prospects is None else self.prospects.to_json()}


@dataclass(frozen=True)
class Settings:
    """What the images were looked at with."""

    backbone: str
    size: int
    """Pixels a side of its input."""
    own_size: bool
    """Whether no other was asked for."""
    seed: int
    images: int
    """Of each set at most."""


@dataclass(frozen=True)
class Mismatch:
    """What `headstart mismatch` found."""

    mode: Mode
    first: str
    """The data, or the run."""
    second: str | None
    data: str
    """Where the labels are that a model learns from."""
    settings: Settings
    comparisons: tuple[Comparison, ...]
    """One, or of data alone train against each other split."""
    source: SourceDomain | None
    """Of data alone: against the images of the backbone's pretraining."""
    notes: tuple[str, ...] = ()
    directory: Path | None = None

    @property
    def verdict(self) -> Level:
        """The largest mismatch of the comparisons: `none`, `slight`, `clear` or `severe`."""
        return max((one.level for one in self.comparisons), key=LEVELS.index, default="none")

    @property
    def next(self) -> str | None:
        """What to type next; None where there is nothing to do."""
        if self.second is None or not self.comparisons:
            return None
        found = self.comparisons[0]
        if found.prospects is None:
            return None
        shift = found.prospects.shift
        shifted = shift is not None and shift.shifted and shift.told
        if found.level in ("none", "slight") and not shifted:
            return f"headstart adapt {shlex.quote(self.data)}" if self.mode != "run" else \
                f"headstart evaluate {shlex.quote(self.first)} {shlex.quote(self.second)}"
        method = "label_shift" if found.level in ("none", "slight") else "transfer"
        size = "" if self.settings.own_size else f" --set image_size={self.settings.size}"
        seed = f" --seed {self.settings.seed}" if self.settings.seed else ""
        return (f"headstart adapt {shlex.quote(self.data)} --target {shlex.quote(self.second)} --backbone "
                f"{shlex.quote(self.settings.backbone)} --method {method}{size}{seed}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"mode": self.mode, "first": self.first, "second": self.second, "data": self.data,
                "settings": asdict(self.settings), "verdict": self.verdict,
                "comparisons": [one.to_json() for one in self.comparisons],
                "source_domain": None if self.source is None else self.source.to_json(),
                "notes": list(self.notes), "next": self.next}
