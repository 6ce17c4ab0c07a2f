"""Record: what a run writes about itself while it goes on: run.json, history.csv, and the data it used."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.adaptation import Adapted
from headstart.data.dataset import Dataset, Splits
from headstart.events import EpochEnded, Event, Judged, Kept, Listen, Note, RatesTried, RunFinished, Trained, broadcast
from headstart.files import atomic_write, read_json, read_json_list, write_json, write_text
from headstart.job import Job
from headstart.model import Model
from headstart.runs import SCHEMA, Metrics, read_history


class Record:
    """Keeps run.json and history.csv of one run. `note` is a listener; `listen` passes events on to the others too."""

    def __init__(self, directory: Path, listen: Listen) -> None:
        self.directory = directory
        self.listen = broadcast([self.note, listen])
        self.job: Job | None = None
        self.metrics: Metrics = {}
        self._began = time.perf_counter()
        self._notes: list[dict[str, str]] = []
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        self._methods: list[dict[str, Any]] = []
        self._trained: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._judged: dict[tuple[str, int | None], dict[str, float | None]] = {}
        self._seconds_before = 0.0

    def begin(self, job: Job, *, resumed: bool) -> None:
        """Write job.yaml, and run.json with the status `running`; a resumed run keeps what it recorded before."""
        self.job = job
        if resumed:
            before = read_json(self.directory / "run.json")
            self._seconds_before = before["seconds"]
            self._trained, self._kept = before.get("trained", {}), before.get("kept", {})
            self._notes = before["notes"] + [note for note in self._notes if note not in before["notes"]]
            self._rows = {(row["method"], row["epoch"]): row for row in read_history(self.directory)}
            known = self.directory / "validators.json"
            self._judged = {(row["method"], row["epoch"]): row["scores"]
                            for row in (read_json_list(known) if known.exists() else [])}
        else:
            write_text(self.directory / "job.yaml", job.to_yaml())
        self._write("running")

    def end(self, status: str) -> None:
        """Write run.json with its last status, and tell the listeners where it did not finish."""
        self._write(status)
        if status != "finished":
            self.listen(RunFinished(self.directory, status))

    def finish(self, adapted: list[Adapted], metrics: Metrics) -> None:
        """Take the methods and metrics that run.json names."""
        self.metrics = metrics
        told = [self._told(item.name) for item in adapted]
        self._methods = [{"name": item.name, "seconds": round(item.seconds, 2),
                          "parameters_trained": trained_parameters(item) if count is None else count}
                         for item, count in zip(adapted, told, strict=True)]
        self._write("running")

    def note(self, event: Event) -> None:
        """Keep notes and epochs."""
        if isinstance(event, Note):
            entry = {"level": event.level, "text": event.text}
            if entry not in self._notes:
                self._notes.append(entry)
        elif isinstance(event, EpochEnded):
            key = (event.method, event.epoch)
            self._rows[key] = {"method": event.method, "epoch": event.epoch, "step": event.step, **event.values}
            self._write_history()
        elif isinstance(event, Trained):
            self._trained[event.method] = event.parameters
            self._write("running")  # a method that a resumed run takes as it is does not tell again
        elif isinstance(event, Kept):
            self._kept[event.method] = event.epoch
            self._write("running")
        elif isinstance(event, Judged):
            self._judged[event.method, event.epoch] = {name: None if value != value else value
                                                       for name, value in event.scores.items()}
            write_json(self.directory / "validators.json", [
                {"method": method, "epoch": epoch, "scores": scores}
                for (method, epoch), scores in self._judged.items()])
        elif isinstance(event, RatesTried):
            path = self.directory / "lr_finder.json"
            before = read_json(path) if path.exists() else {}
            write_json(path, before | {event.method: {"factors": list(event.factors), "losses": list(event.losses),
                                                      "chosen": event.chosen}})

    def _told(self, method: str) -> int | None:
        """Return how many parameters the method said that it trained, on all folds together; None where it did not."""
        names = [name for name in self._trained if name == method or name.startswith(in_fold(method, ""))]
        return sum(self._trained[name] for name in names) if names else None

    def _write(self, status: str) -> None:
        assert self.job is not None, "a run is written after it began"
        write_json(self.directory / "run.json", {
            "schema": SCHEMA, "name": self.directory.name, "status": status, "pid": os.getpid(),
            "seconds": round(self._seconds_before + time.perf_counter() - self._began, 2),
            "data": self.job.data, "method": self.job.method[-1].part_name, "methods": self._methods,
            "headline": self.metrics.get("target", self.metrics.get("test", {})), "trained": self._trained,
            "kept": self._kept, "notes": self._notes,
        })

    def _write_history(self) -> None:
        rows = list(self._rows.values())
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.directory / "history.csv", text.getvalue())


def in_fold(method: str, number: int | str) -> str:
    """Return how a method of one fold is called in the history: `finetune fold 2`."""
    return f"{method} fold {number}"


def trained_parameters(item: Adapted) -> int:
    """Return how many parameters a method that told nothing of it may have changed: the head's, or all."""
    parts = [item.model.head, *([item.model.backbone] if item.new_backbone else [])]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def data_record(dataset: Dataset, splits: Splits, fingerprint: str, findings: list[dict[str, Any]], *,
                proof: Dataset | None = None) -> dict[str, Any]:
    """Return data.json. proof: the labelled images of a target domain."""
    parts = [*splits.items(), *([("target", proof)] if proof else [])]
    return {
        "schema": SCHEMA, "fingerprint": fingerprint, "root": str(dataset.root) if dataset.root else None,
        "format": dataset.format, "task": dataset.task, "classes": list(dataset.classes),
        "notes": [*dataset.notes, *splits.notes], "ignored": list(dataset.ignored),
        "splits": {name: {"count": len(part), "per_class": _per_class(part)} for name, part in parts if len(part)},
        "check": findings,
    }


def _per_class(part: Dataset) -> dict[str, int]:
    labels = part.labels()
    counts = labels.sum(0) if part.several else np.bincount(labels, minlength=len(part.classes))
    return {name: int(count) for name, count in zip(part.classes, counts, strict=True)}


def backbone_record(model: Model) -> dict[str, Any]:
    """Return backbone.json."""
    backbone = model.backbone
    return {**backbone.spec.model_dump(mode="json"), "preprocessing": model.preprocessing.model_dump(mode="json"),
            "width": backbone.width, "weights_sha256": backbone.weights_hash()}


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as Parquet, atomically."""
    with atomic_write(path) as file:
        pd.DataFrame(rows).to_parquet(file, index=False)
