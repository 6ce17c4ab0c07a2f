"""Past runs: what a method may know of a finished run that it builds on: its model, its start, what it learned from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from headstart.configuration import read_yaml
from headstart.data.dataset import Splits
from headstart.data.fingerprint import content_hashes
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, DataError, listed, nearest
from headstart.files import read_json
from headstart.model import Model


def _resolved(path: Any) -> Any:
    """Return a path that exists as an absolute one, so that job.yaml finds it from any folder; others as they are."""
    if not isinstance(path, str | os.PathLike):
        return path  # pydantic says what is wrong with it
    text = os.fsdecode(path)
    return str(Path(text).resolve()) if text and Path(text).exists() else text


RunPath = Annotated[str, BeforeValidator(_resolved)]
"""A setting that names the folder of a run."""


@dataclass(frozen=True)
class PastRun:
    """A finished run. Everything is read when it is first asked for."""

    directory: Path

    def __str__(self) -> str:
        return str(self.directory)

    def model(self) -> Model:
        """Return its model. Raises IntegrityError where the weights are not those that were saved."""
        return Model.load(self.directory / "model.safetensors")

    @cached_property
    def task(self) -> str:
        """Return the name of its task."""
        return str(read_json(self.directory / "data.json")["task"])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the names of its classes, in the order of its logits."""
        return tuple(read_json(self.directory / "data.json")["classes"])

    @cached_property
    def backbone(self) -> dict[str, Any]:
        """Return the record of the backbone that it started from: `architecture`, `weights_sha256`, ..."""
        return read_json(self.directory / "backbone.json")

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how it prepares pictures."""
        where = f"{self.directory / 'backbone.json'}: preprocessing"
        return Preprocessing.parse(self.backbone["preprocessing"], where=where)

    @cached_property
    def job(self) -> dict[str, Any]:
        """Return its settings, as job.yaml has them."""
        return read_yaml(self.directory / "job.yaml")

    @property
    def methods(self) -> list[str]:
        """Return the names of the methods that made it, in order."""
        return [item["method"] for item in self.job["method"]]

    @property
    def moved_statistics(self) -> bool:
        """Return whether one of its methods let BatchNorm's statistics go from those that it started with."""
        return any(item.get("batch_norm", "frozen") != "frozen" for item in self.job["method"])

    @property
    def built_on(self) -> list[PastRun]:
        """Return the runs that it started from, was taught by or is a soup of, as far as they are still there."""
        paths = [self.job.get("init_from"), *(path for item in self.job["method"]
                                              for path in (item.get("teacher"), *item.get("runs", ())))]
        return [PastRun(Path(path)) for path in paths if path and (Path(path) / "samples.parquet").is_file()]

    def images(self, split: str) -> set[str]:
        """Return the SHA-256 of each image file in one of its splits, or in that of a run that it was built on."""
        import pandas as pd

        table = pd.read_parquet(self.directory / "samples.parquet", columns=["split", "sha256"])
        return set(table["sha256"][table["split"] == split]).union(*(run.images(split) for run in self.built_on))


def find_past_run(path: str, *, where: str) -> PastRun:
    """Return the finished run at `path`. where: the setting that names it, such as `soup: runs`.

    Raises ConfigError where there is none, with the nearest run beside it, or where it is not finished.
    """
    directory = Path(path)
    if not path or not (directory / "run.json").is_file():
        beside = [str(found.parent) for found in directory.parent.glob("*/run.json")]
        raise ConfigError(f"{where}: {path or 'nothing'}: there is no run here (no run.json)."
                          + (nearest(path, beside) or " `headstart runs` lists them."))
    status = read_json(directory / "run.json")["status"]
    if status != "finished":
        raise ConfigError(f"{where}: {path}: this run is {status}. Go on with `headstart resume {path}` first.")
    return PastRun(directory)


def refuse_leaks(runs: Sequence[PastRun], splits: Splits, *, where: str, of: Sequence[str] = ("val", "test")) -> None:
    """Raise DataError where an image that is to prove or to choose the result has taught one of `runs` already.

    Test images may be neither in its train nor in its val split, validation images not in its train split. An image
    that this job has in both parts itself is left to the check of the data.
    """
    for run, leaked in leaks(runs, splits, of=of).items():
        if leaked:
            raise DataError(f"{where}: {run} has learned from, or was chosen on, {len(leaked)} images that are to "
                            f"measure this job's result, which would look too good:\n{listed(leaked)}\nUse the same "
                            "data and the same seed for all runs: then they have the same splits. That does not help "
                            "with --folds, where every image outside the test split validates once: leave it out.")


def leaks(runs: Sequence[PastRun], splits: Splits, *, of: Sequence[str]) -> dict[PastRun, list[str]]:
    """Return, for each run, a line for each image in the parts `of` this job that has taught it, as `refuse_leaks`."""
    samples = {name: part.samples for name, part in splits.items()}
    hashes = {name: content_hashes(part) for name, part in splits.items()}
    found: dict[PastRun, list[str]] = {run: [] for run in runs}
    for run in runs:
        for mine, its in (("val", "train"), ("test", "train"), ("test", "val")):
            if mine in of:
                known = run.images(its) - set(hashes[its])
                found[run] += [f"{sample.id}: in {mine} here, in {its} there"
                               for sample, content in zip(samples[mine], hashes[mine], strict=True) if content in known]
    return found
