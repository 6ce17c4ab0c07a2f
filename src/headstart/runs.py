"""The run directory: read a run, list runs. It is the one hand-over between training and everything after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones.resolve import PERMISSIVE
from headstart.configuration import read_yaml
from headstart.errors import ConfigError, IntegrityError, nearest
from headstart.evaluation.intervals import Interval
from headstart.events import Listen, silent
from headstart.files import has_lock_alone, is_held, read_json
from headstart.job import Job
from headstart.model import Model
from headstart.types import Prediction

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Version of the layout of a run directory."""

Metrics = dict[str, dict[str, dict[str, float | None]]]
"""{split: {metric: {"value", "low", "high"}}}"""


@dataclass(frozen=True)
class Run:
    """One run on disk. Everything is read from `directory` when it is first asked for."""

    directory: Path

    def __str__(self) -> str:
        return str(self.directory)

    @cached_property
    def record(self) -> dict[str, Any]:
        """Return run.json: status, seconds, methods."""
        return read_json(self.directory / "run.json")

    @property
    def status(self) -> str:
        """Return `running`, `finished`, `interrupted` or `failed`.

        A run that was killed could not write that it was interrupted: its folder is no process's any more.
        """
        written = str(self.record["status"])
        return "interrupted" if written == "running" and not is_held(self.directory) else written

    @cached_property
    def job(self) -> Job:
        """Return the job with every setting as it was resolved."""
        return Job.parse(read_yaml(self.directory / "job.yaml"), where=str(self.directory / "job.yaml"))

    @cached_property
    def data(self) -> dict[str, Any]:
        """Return data.json: fingerprint, classes, splits."""
        return read_json(self.directory / "data.json")

    @cached_property
    def splits(self) -> dict[str, dict[str, Interval]]:
        """Return the metrics of every split: {split: {metric: value, low, high}}."""
        return intervals(read_json(self._finished("metrics.json")))

    @property
    def metrics(self) -> dict[str, Interval]:
        """Return the metrics of the held-out test split."""
        return self.splits["test"]

    @cached_property
    def baselines(self) -> dict[str, dict[str, dict[str, Interval]]]:
        """Return {method: {split: {metric: interval}}} of what the model was compared with."""
        found = read_json(self._finished("baselines.json"))
        return {method: intervals(splits) for method, splits in found.items()}

    @cached_property
    def history(self) -> pd.DataFrame:
        """Return history.csv, a row per epoch; empty where no method trained by epochs."""
        import pandas as pd

        path = self.directory / "history.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Return predictions.parquet, a row per validation and test image."""
        import pandas as pd

        return pd.read_parquet(self._finished("predictions.parquet"))

    @cached_property
    def folds(self) -> dict[str, Any]:
        """Return folds.json: each fold of a cross-validated run, and what they say together."""
        return read_json(self._of_folds("folds.json"))

    @cached_property
    def out_of_fold(self) -> pd.DataFrame:
        """Return oof.parquet: every image outside the test split, answered by the model that did not see it."""
        import pandas as pd

        return pd.read_parquet(self._of_folds("oof.parquet"))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Return samples.parquet: id, path, split, label, group, weight and hash of every image."""
        import pandas as pd

        return pd.read_parquet(self.directory / "samples.parquet")

    @cached_property
    def model(self) -> Model:
        """Return the model. Raises IntegrityError where its weights are not those that were saved."""
        return Model.load(self._finished("model.safetensors"))

    def predict(self, images: Sequence[str | Path], *, listen: Listen = silent) -> list[Prediction]:
        """Return one prediction per image, in order, with calibrated probabilities."""
        return self.model.predict(images, listen=listen)

    def report(self) -> Path:
        """Return the path of the report."""
        return self._finished("report.html")

    def _of_folds(self, name: str) -> Path:
        if self.job.folds is None:
            raise ConfigError(f"{self.directory}: this run was not cross-validated, it has no {name}. "
                              f"`headstart adapt {self.job.data} --folds 5` makes one that was.")
        return self._finished(name)

    def require_finished(self, name: str = "manifest.json") -> None:
        """Raise ConfigError for a run that has not come to its end, so that it has no file `name` yet."""
        if self.status != "finished":
            raise ConfigError(f"{self.directory}: this run is {self.status}, it has no {name} yet. "
                              f"Go on with `headstart resume {self.directory}`.")

    def _finished(self, name: str) -> Path:
        path = self.directory / name
        if path.exists():
            return path
        self.require_finished(name)
        raise IntegrityError(f"{path}: missing from a finished run. Restore it from a copy, or repeat the run with "
                             f"`headstart reproduce {self.directory}`.")


def load_run(path: str | Path) -> Run:
    """Return the run at `path`. Raises ConfigError where there is none, with the runs beside it."""
    directory = Path(path)
    if not (directory / "run.json").is_file():
        if directory.is_dir() and has_lock_alone(directory) and not is_held(directory):
            raise ConfigError(f"{directory}: a run began here and was killed before it wrote anything: there is "
                              "nothing to go on from. Give `headstart adapt` the same words again.")
        beside = [str(run) for run in list_runs(directory.parent) or list_runs(Path("runs"))]
        hint = nearest(str(directory), beside) if beside else " `headstart adapt DATA` makes one."
        raise ConfigError(f"{directory}: there is no run here (no run.json).{hint}")
    return Run(directory)


def load_model(path: str | Path, *, allow_licenses: Sequence[str] = PERMISSIVE) -> Model:
    """Return the model of a finished run, or of an `adapter.safetensors` on the pretrained backbone that it names.

    allow_licenses: of that backbone's weights; a run holds its own.
    Raises ConfigError where there is neither, and as `Run.model` and `Model.with_adapter`.
    """
    if str(path).endswith(".safetensors"):
        return Model.with_adapter(path, allow_licenses=allow_licenses)
    return load_run(path).model


def list_runs(folder: Path) -> list[Run]:
    """Return the runs directly inside `folder`, oldest first."""
    found = sorted(folder.glob("*/run.json"), key=lambda path: (path.stat().st_mtime, str(path)))
    return [Run(path.parent) for path in found]


def free_directory(folder: Path, name: str) -> Path:
    """Return `folder/name-N` with the first free number."""
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"


def read_history(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of history.csv, without the columns that a row leaves empty."""
    import pandas as pd

    path = directory / "history.csv"
    if not path.exists():
        return []
    rows = pd.read_csv(path, dtype={"method": str}).to_dict("records")
    return [{str(name): value for name, value in row.items() if not pd.isna(value)} for row in rows]


def intervals(splits: Metrics) -> dict[str, dict[str, Interval]]:
    """Return {split: {metric: Interval}} from metrics.json's plain values; null becomes NaN."""
    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    return {split: {name: Interval(number(m["value"]), number(m["low"]), number(m["high"]))
                    for name, m in metrics.items()} for split, metrics in splits.items()}
