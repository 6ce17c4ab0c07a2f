"""Ranking: what was found of each candidate, and its record on disk, which `adapt --backbone auto` reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from headstart.errors import ConfigError
from headstart.events import Listen, Note, silent
from headstart.files import write_json
from headstart.selection.records import newest, read_record

RECORD, PAGE = "rank.json", "rank.html"
FOLDER = "ranks"
"""Where rankings are kept, beside `runs`."""
FEW, FEW_EACH = 30, 8
"""Images in all, and a class, below which resampling them says too little of what other images would say."""


@dataclass(frozen=True)
class Ranked:
    """One candidate: its place, what speaks for it, and what it costs."""

    name: str
    architecture: str
    size: int
    """Pixels of its input."""
    own_size: bool
    """Whether that is the size that it was trained with."""
    rank: int
    """1 is the best; candidates that were left out early come after those that were not."""
    rank_low: int
    rank_high: int
    """95% interval of the rank, over resampled images."""
    value: float
    """What the ranking goes by, higher for better."""
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Cross-validated accuracy of a linear probe, with its 95% interval; for multi-label the share of right labels."""
    images: int
    """Images that it was judged by; fewer than the others' where it was left out early."""
    eliminated: bool
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """Other scores, by name; None where one has no value for this candidate."""
    top1: float | None = None
    """Published ImageNet-1k accuracy, percent."""
    parameters: int = 0
    gmacs: float = 0.0
    images_per_second: float = 0.0
    training_mb: float = 0.0
    width: int = 0
    """Length of its feature vector."""
    license: str = ""
    seconds: float = 0.0
    """Spent on it in all."""
    frontier: bool = False
    """Whether no other candidate is better in one of probe accuracy and speed, and worse in none."""

    def allowed(self, allow_licenses: Collection[str]) -> bool:
        """Return whether its licence is one of those, or they hold `any`."""
        return "any" in allow_licenses or self.license.lower() in {name.lower() for name in allow_licenses}


@dataclass(frozen=True)
class Ranking:
    """All candidates, best first, and those that could not be judged."""

    data: str
    known: Mapping[str, Any]
    """What decides which images were read, and how: fingerprint, a hash of what is held out, channels, fit."""
    score: str
    images: int
    classes: int
    seconds: float
    candidates: tuple[Ranked, ...]
    failed: Mapping[str, str]
    """Name -> why it could not be judged."""
    directory: Path | None = None
    multilabel: bool = False
    """Whether an image may have several labels: the accuracy is a share of right labels then."""

    @property
    def judged_on(self) -> str:
        """Return of what the probe of the first candidate is right in a share, in words."""
        return self.counted(self.best.images)

    def counted(self, images: int) -> str:
        """Return what is right or wrong of so many images, in words: they, or for multi-label their labels."""
        return f"{'the labels of ' if self.multilabel else ''}{images} images"

    @property
    def best(self) -> Ranked:
        """Return the candidate in the first place. Raises ConfigError where none could be judged."""
        if not self.candidates:
            reasons = "\n".join(f"  {name}: {reason}" for name, reason in self.failed.items())
            raise ConfigError(f"no candidate could be judged:\n{reasons}\n  Name others (--backbones), or give it more "
                              "time (--limit-time).")
        return self.candidates[0]

    @property
    def too_few(self) -> bool:
        """Return whether the images are too few to say which candidate is the better one."""
        return few(self.images, self.classes)

    @property
    def tied(self) -> list[Ranked]:
        """Return the candidates whose rank may be 1, as far as these images tell."""
        return [item for item in self.candidates if item.rank_low == 1]

    def to_json(self) -> dict[str, Any]:
        """Return the ranking as plain JSON values."""
        return {"data": self.data, "known": dict(self.known), "score": self.score, "images": self.images,
                "classes": self.classes, "seconds": self.seconds,
                "candidates": [asdict(item) for item in self.candidates], "failed": dict(self.failed),
                "multilabel": self.multilabel}

    def save(self, directory: Path) -> None:
        """Write rank.json, at once and whole."""
        write_json(directory / RECORD, self.to_json())

    @classmethod
    def load(cls, directory: Path) -> Ranking:
        """Return the ranking in a folder. Raises ConfigError where there is none, IntegrityError on a damaged one."""
        def build(found: dict[str, Any]) -> Ranking:
            candidates = TypeAdapter(tuple[Ranked, ...]).validate_python(found.pop("candidates"))
            return cls(**found, candidates=candidates, directory=directory)

        return read_record(directory / RECORD, build, what="ranking", verb="rank")


def few(images: int, classes: int) -> bool:
    """Return whether so many images of so many classes are too few to rank backbones by, or to doubt labels by."""
    return images < max(FEW, FEW_EACH * classes)


def find_ranking(known: Mapping[str, Any], folder: Path = Path(FOLDER), *, data: str = "",
                 listen: Listen = silent) -> Ranking | None:
    """Return the newest ranking in `folder` of the same data, divided alike; None where there is none.

    data: the place of the data; where the newest ranking of this place knew it otherwise, that is told. So is a damaged
    one.
    """
    older = False

    def fits(ranking: Ranking) -> bool:
        nonlocal older
        if ranking.known == dict(known):
            return bool(ranking.candidates)
        if ranking.data == data and not older:
            older = True
            listen(Note(f"{ranking.directory}: {data} was another then, or was divided or read otherwise; it is passed "
                        f"over. Rank anew with `headstart rank {data}`.", "warning"))
        return False

    return newest(folder, RECORD, Ranking.load, fits, listen=listen)
