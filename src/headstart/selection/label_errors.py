"""LabelErrors: which labels are likely wrong, and its record on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import ConfigError
from headstart.files import write_json
from headstart.selection.records import read_record

if TYPE_CHECKING:
    import pandas as pd

RECORD, PAGE, TABLE = "labels.json", "labels.html", "labels.csv"
FOLDER = "labels"
"""Where the records are kept, beside `runs`."""

Names = tuple[str, ...]
"""Class names: one, or for multi-label any number."""


@dataclass(frozen=True)
class LabelError:
    """One image whose label is likely wrong."""

    rank: int
    """1 is the most suspicious."""
    image: str
    """Its id: the path below the data folder, or its row."""
    path: str | None
    """None for an image inside a table."""
    split: str
    """The split that it is in: train, val or test."""
    given: Names
    suggested: Names
    """Several labels: those given, with the likely wrong ones changed."""
    given_probability: float
    """What a probe that did not see the image says of the label given; for multi-label of its most doubtful label."""
    suggested_probability: float
    """The same of the suggested one."""
    quality: float
    """0 surely wrong, 1 surely right; the errors are in this order."""
    doubted: str | None = None
    """For multi-label: the label that the two probabilities are about, given wrongly or missing."""


@dataclass(frozen=True)
class Confusion:
    """One class that is taken for another; for multi-label a label that is wrongly given, or missing."""

    given: str
    """The class, or `no LABEL`."""
    suggested: str
    errors: int
    """Images with the one label that likely are the other."""
    images: int
    """Images with that label."""


@dataclass(frozen=True)
class LabelErrors:
    """The likely wrong labels of a data set, the most suspicious first, and which classes are taken for which."""

    data: str
    known: Mapping[str, Any]
    """What the judgement depends on: the fingerprint of the data and their labels, the images
    held out as test, channels, fit."""
    task: str
    backbone: str
    size: int
    """Pixels of its input."""
    images: int
    classes: Names
    accuracy: float
    """Share of given labels that the held-out probe agrees with."""
    errors: tuple[LabelError, ...]
    pairs: tuple[Confusion, ...]
    """The most frequent first."""
    seconds: float
    table_settings: Names = ()
    """What `headstart adapt labels.csv` needs besides, as key=value."""
    directory: Path | None = None
    baseline: float | None = None
    """Share of given labels that agree with the most frequent answer, whatever the image; None in older records."""

    @property
    def share(self) -> float:
        """Return the likely wrong images as a share of all, 0..1."""
        return len(self.errors) / self.images

    @property
    def table(self) -> pd.DataFrame:
        """Return labels.csv, a row for each image of the data: all text, as it stands there."""
        import pandas as pd

        if self.directory is None:
            raise ConfigError("these label errors were not written to a folder; there is no table to read.")
        return pd.read_csv(self.directory / TABLE, dtype=str, keep_default_na=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the folder as plain JSON values."""
        found = asdict(self)
        found.pop("directory")
        return found

    def save(self, directory: Path) -> None:
        """Write labels.json, at once and whole."""
        write_json(directory / RECORD, self.to_json())

    @classmethod
    def load(cls, directory: Path) -> LabelErrors:
        """Return the record in a folder. Raises ConfigError where there is none, IntegrityError on a damaged one."""
        def build(found: dict[str, Any]) -> LabelErrors:
            errors = tuple(LabelError(**{**item, "given": tuple(item["given"]), "suggested": tuple(item["suggested"])})
                           for item in found.pop("errors"))
            pairs = tuple(Confusion(**item) for item in found.pop("pairs"))
            found |= {name: tuple(found[name]) for name in ("classes", "table_settings")}
            return cls(**found, errors=errors, pairs=pairs, directory=directory)

        return read_record(directory / RECORD, build, what="record", verb="labels")
