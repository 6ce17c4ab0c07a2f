"""Reading: a run directory as checked records. What a page shows comes from here and nowhere else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from headstart.errors import IntegrityError
from headstart.report import detection_records, segmentation_records
from headstart.report.detection_records import BoxDetails
from headstart.report.records import (
    BackboneRecord,
    ChoiceRecord,
    Compared,
    DataRecord,
    Details,
    EnvironmentRecord,
    FoldsOfMethod,
    FoldsRecord,
    ForecastRecord,
    Interval,
    Metrics,
    MismatchRecord,
    RatesRecord,
    RunRecord,
    Shape,
    Verdict,
)
from headstart.report.segmentation_records import MaskDetails

SCHEMA = 1
"""Version of the layout of a run directory that this page reads."""
MONITORS = {"classification": "accuracy", "multilabel": "average_precision", "detection": "ap", "semantic": "miou"}
PREDICTION_COLUMNS = ("id", "path", "split", "label", "predicted", "confidence", "probabilities")
SHAPES: dict[str, tuple[type[Shape], tuple[str, ...]]] = {
    "detection": (BoxDetails, detection_records.COLUMNS), "semantic": (MaskDetails, segmentation_records.COLUMNS)}
"""Task -> a split of details.json, and the columns of predictions.parquet, where they are its own."""


@dataclass(frozen=True)
class Record:
    """Everything that a run wrote down. An optional file that is not there is None or empty."""

    directory: Path
    run: RunRecord
    data: DataRecord
    metrics: Metrics
    baselines: dict[str, Metrics]
    details: dict[str, Details]
    """Of a classifier, by split."""
    boxes: dict[str, BoxDetails]
    """Of a detector, by split."""
    masks: dict[str, MaskDetails]
    """Of a segmenter, by split."""
    comparison: list[Compared]
    watch: dict[str, Verdict]
    rates: dict[str, RatesRecord]
    """What the learning-rate finder saw, by method."""
    folds: FoldsRecord | None
    backbone: BackboneRecord | None
    choice: ChoiceRecord | None
    forecast: ForecastRecord | None
    mismatch: MismatchRecord | None
    environment: EnvironmentRecord | None
    job: str | None
    """The text of job.yaml."""
    history: pd.DataFrame | None
    predictions: pd.DataFrame | None
    samples: pd.DataFrame | None

    @property
    def several(self) -> bool:
        """Return whether an image can have several labels."""
        return self.data.task == "multilabel"

    @property
    def whole(self) -> bool:
        """Return whether the answers have a place in the image, so that it is not right or wrong as a whole."""
        return self.data.task in SHAPES

    @property
    def split(self) -> str:
        """Return the split that proves the result: that of the domain adapted to, else `test` where there is one."""
        return next((name for name in ("target", "test") if name in self.metrics), next(iter(self.metrics)))

    @property
    def unproven(self) -> int:
        """Return the number of images of the domain adapted to, where none of them proves the result; else 0."""
        return self.data.target.images if self.data.target is not None and self.split != "target" else 0

    @property
    def proof(self) -> dict[str, Interval]:
        """Return the metrics of the model on that split."""
        return self.metrics[self.split]

    @property
    def monitor(self) -> str:
        """Return the name of the headline metric."""
        wanted = self.comparison[0].metric if self.comparison else MONITORS.get(self.data.task, "")
        return wanted if wanted in self.proof else next(iter(self.proof))

    @property
    def method(self) -> str:
        """Return the name of the method that made the final model."""
        return self.run.methods[-1].name if self.run.methods else self.run.method or "model"

    @property
    def cross(self) -> FoldsOfMethod | None:
        """Return what the folds say of the final method, where the run was cross-validated."""
        return self.folds.methods.get(self.method) if self.folds else None

    @property
    def tested(self) -> int:
        """Return the number of images of the proving split."""
        counts = self.data.splits.get(self.split)
        return counts.count if counts else 0


def read(directory: Path) -> Record:
    """Return the run's records. Raises IntegrityError naming the file that is missing or not what a run writes."""
    data = _required(directory / "data.json", DataRecord)
    shape, columns = SHAPES.get(data.task, (Details, PREDICTION_COLUMNS))
    details = _optional(directory / "details.json", dict[str, shape]) or {}  # type: ignore[valid-type]
    record = Record(
        directory=directory,
        run=_required(directory / "run.json", RunRecord),
        data=data,
        metrics=_required(directory / "metrics.json", Metrics),
        baselines=_optional(directory / "baselines.json", dict[str, Metrics]) or {},
        details=details if shape is Details else {},
        boxes=details if shape is BoxDetails else {},
        masks=details if shape is MaskDetails else {},
        comparison=_optional(directory / "comparison.json", list[Compared]) or [],
        watch=_optional(directory / "watch.json", dict[str, Verdict]) or {},
        folds=_optional(directory / "folds.json", FoldsRecord),
        rates=_optional(directory / "lr_finder.json", dict[str, RatesRecord]) or {},
        backbone=_optional(directory / "backbone.json", BackboneRecord),
        forecast=_optional(directory / "forecast.json", ForecastRecord),
        mismatch=_optional(directory / "mismatch.json", MismatchRecord),
        choice=_optional(directory / "choice.json", ChoiceRecord),
        environment=_optional(directory / "environment.json", EnvironmentRecord),
        job=_text(directory / "job.yaml"),
        history=_history(directory / "history.csv"),
        predictions=_parquet(directory / "predictions.parquet", columns),
        samples=_parquet(directory / "samples.parquet", ("id", "split", "label", "group")),
    )
    _agree(record)
    return record


def broken(path: Path, why: str) -> IntegrityError:
    """Return the error for a file that is not what a run writes."""
    return IntegrityError(f"{path}: missing, damaged, or not what a run writes ({why}). Restore it from a copy, or "
                          f"repeat the run with `headstart reproduce {path.parent}`.")


def _required(path: Path, shape: Any) -> Any:
    if not path.is_file():
        raise broken(path, "there is no such file")
    return _optional(path, shape)


def _optional(path: Path, shape: Any) -> Any:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict) and value.get("schema", SCHEMA) != SCHEMA:
            raise broken(path, f"written in layout {value['schema']}, this version reads {SCHEMA}")
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise broken(path, str(error)) from None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, ValueError) as error:
        raise broken(path, str(error)) from None


def _history(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path, dtype={"method": str}, keep_default_na=False, na_values=[""])
        numeric = [name for name in table.columns if name != "method"]
        table[numeric] = table[numeric].astype(float)
        return _with_columns(table, ("method", "epoch"), path)
    except pd.errors.EmptyDataError:
        return None
    except (OSError, ValueError) as error:
        raise broken(path, str(error)) from None


def _parquet(path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise broken(path, str(error)) from None
    return _with_columns(table, columns, path)


def _with_columns(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise broken(path, f"the columns {', '.join(missing)} are not there")
    return table


def _agree(record: Record) -> None:
    """Raise IntegrityError where the files contradict each other: they would make a page that lies."""
    folder, classes = record.directory, record.data.classes
    if not record.metrics or not record.proof:
        raise broken(folder / "metrics.json", "it holds no metric")
    for split, found in record.details.items():
        if set(found.per_class) - set(classes):
            raise broken(folder / "details.json", f"{split}: classes that data.json does not name")
        if isinstance(found.threshold, list) and len(found.threshold) != len(classes):
            raise broken(folder / "details.json", f"{split}: not {len(classes)} thresholds")
        matrix = found.confusion
        if matrix and not record.several and any(len(row) != len(classes) for row in [matrix, *matrix]):
            raise broken(folder / "details.json", f"{split}: the confusion matrix is not "
                                                  f"{len(classes)} x {len(classes)}")
    _agree_on_boxes(record)
    for split, masks in record.masks.items():
        if set(masks.per_class) - set(classes) or any(len(row) != len(classes) for row in masks.confusion):
            raise broken(folder / "details.json", f"{split}: other classes than data.json names")
    if record.folds and record.cross is None:
        raise broken(folder / "folds.json", f"it says nothing of {record.method}")
    table = record.predictions
    if table is not None and "probabilities" in table and any(len(p) != len(classes) for p in table["probabilities"]):
        raise broken(folder / "predictions.parquet", f"not {len(classes)} probabilities per image")


def _agree_on_boxes(record: Record) -> None:
    path, classes = record.directory / "details.json", record.data.classes
    for split, found in record.boxes.items():
        if set(found.per_class) - set(classes) or len(found.thresholds) != len(classes):
            raise broken(path, f"{split}: other classes than data.json names")
        side = len(classes) + 1
        if found.confusion and {len(found.confusion), *map(len, found.confusion)} != {side}:
            raise broken(path, f"{split}: the confusion matrix is not {side} x {side}")
    if record.data.task == "detection" and record.predictions is not None:
        rows: list[Any] = record.predictions.to_dict("records")
        for row in rows:
            for names in (("boxes", "scores", "labels", "kinds"), ("true_boxes", "true_labels", "true_states")):
                if len({len(row[name]) for name in names}) != 1:
                    raise broken(record.directory / "predictions.parquet", f"{row['id']}: lists of different lengths")
