"""Advice: which backbone and which method for these data, with the evidence that speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headstart.events import Listen, silent
from headstart.files import write_json
from headstart.selection.options import Option
from headstart.selection.records import newest, read_record

RECORD, PAGE = "advice.json", "advice.html"
FOLDER = "advice"


@dataclass(frozen=True)
class Fact:
    """One piece of evidence: what was looked at, what was found, and what it means."""

    what: str
    found: str
    meaning: str


@dataclass(frozen=True)
class Advice:
    """The plan, best first, and what it rests on."""

    data: str
    known: Mapping[str, Any]
    backbone: str
    image_size: int | None
    """None is the backbone's own."""
    backbone_reason: str
    facts: tuple[Fact, ...]
    options: tuple[Option, ...]
    seconds: float
    """That the advice took."""
    directory: Path | None = None
    nearness: Mapping[str, float | None] = field(default_factory=dict)
    """How like the images of the pretraining these are, in numbers; the verdict goes by the confidence alone."""
    multilabel: bool = False
    """Whether an image has several labels: the accuracies are then shares of right labels."""

    @property
    def best(self) -> Option:
        """Return the advised way."""
        return self.options[0]

    def settings(self) -> dict[str, Any]:
        """Return the fields of a job that the advice decides."""
        size = {} if self.image_size is None else {"image_size": self.image_size}
        return {"backbone": self.backbone, **size, "method": self.best.settings}

    def none_fits(self) -> str:
        """Return what is said where the first way does not fit the time given, since those that do come before it."""
        given = self.known["limit_time"]
        return (f"No way fits into what this advice, which took {self.seconds:.1f} s, left of the {given:g} s that "
                "were given: this one is the quickest.")

    def why(self) -> str:
        """Return in a sentence or two what was picked and why."""
        best = self.best
        expected = "" if best.fits else f" {self.none_fits()}"
        if best.value is not None:
            share = "share of right labels" if self.multilabel else "accuracy"
            expected += f" Expected {share} {best.value:.1%} ({best.low:.1%} to {best.high:.1%})."
        return f"method auto: {best.words} on {self.backbone}: {best.reason}.{expected} {self.backbone_reason} " \
               "Another one: --method NAME, --backbone NAME."

    def to_json(self) -> dict[str, Any]:
        """Return the advice as plain JSON values."""
        found = asdict(self)
        del found["directory"]
        return found

    def save(self, directory: Path) -> None:
        """Write advice.json, at once and whole."""
        write_json(directory / RECORD, self.to_json())

    @classmethod
    def load(cls, directory: Path) -> Advice:
        """Return the advice in a folder. Raises ConfigError where there is none, IntegrityError on a damaged one."""
        def build(found: dict[str, Any]) -> Advice:
            facts = tuple(Fact(**item) for item in found.pop("facts"))
            options = tuple(Option(**item) for item in found.pop("options"))
            return cls(**found, facts=facts, options=options, directory=directory)

        return read_record(directory / RECORD, build, what="advice", verb="advise")


def find_advice(known: Mapping[str, Any], folder: Path = Path(FOLDER), *, listen: Listen = silent) -> Advice | None:
    """Return the newest advice in `folder` on the same data with the same wishes; None where there is none.

    A damaged one is told of and passed over.
    """
    return newest(folder, RECORD, Advice.load, lambda advice: advice.known == dict(known), listen=listen)
