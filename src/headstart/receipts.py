"""Receipts: what a run was made of, and whether that is still so."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.data.dataset import Dataset, Splits
from headstart.data.fingerprint import content_hashes, hashes_of
from headstart.data.load import load_data
from headstart.errors import HeadstartError
from headstart.files import read_json, sha256_file, write_json
from headstart.runs import Run

PACKAGES = ("headstart", "torch", "torchvision", "lightning", "timm", "numpy", "pillow", "onnxruntime",
            "scikit-learn", "pandas", "safetensors", "pydantic", "mlflow", "peft")
UNSEALED = {"manifest.json", "run.json", ".lock", ".tracking.jsonl"}
"""Files that change after the run was sealed."""
TARGET = "target.parquet"
"""Which images the target had, where the run adapted to one."""


@dataclass(frozen=True)
class Receipt:
    """The outcome of one check of `verify`."""

    what: str
    intact: bool
    detail: str


def environment() -> dict[str, Any]:
    """Return versions, hardware, commit and command of this process."""
    import torch

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(Path(word).name if i == 0 else word for i, word in enumerate(sys.argv)),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "git_commit": _commit(),
    }


def sample_table(splits: Splits) -> list[dict[str, Any]]:
    """Return a row per image: what `verify` compares with later."""
    rows = []
    for split, part in splits.items():
        for sample, digest in zip(part.samples, content_hashes(part), strict=True):
            label = list(sample.label) if isinstance(sample.label, tuple) else sample.label
            rows.append({"id": sample.id, "path": str(sample.source) if isinstance(sample.source, Path) else None,
                         "split": split, "label": label, "group": sample.group, "weight": sample.weight,
                         "sha256": digest})
    return rows


def target_table(images: Dataset, *others: Dataset | None) -> list[dict[str, Any]]:
    """Return a row per image of the target's domain, adapted to, proving or learned from: for verify."""
    named = {sample.id: sample for part in (images, *others) if part for sample in part.samples}
    samples = tuple(named[name] for name in sorted(named))
    return [{"id": sample.id, "path": str(sample.source) if isinstance(sample.source, Path) else None, "sha256": digest}
            for sample, digest in zip(samples, content_hashes(replace(images, samples=samples)), strict=True)]


def seal(directory: Path) -> None:
    """Write manifest.json: the SHA-256 of every file of the run."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name not in UNSEALED]
    write_json(directory / "manifest.json", {str(path.relative_to(directory)): sha256_file(path) for path in files})


def verify(run: Run) -> list[Receipt]:
    """Return whether files, weights and data are what the receipts say.

    Raises ConfigError for a run that is not finished, which has none yet.
    """
    run.require_finished()
    return [*_check_files(run), _check_model(run), *_check_data(run), *_check_target(run)]


def changed_metrics(run: Run, again: Run) -> list[str]:
    """Return a line for each metric whose value or interval is not exactly the same number."""
    lines = []
    for split, metrics in run.splits.items():
        for name, before in metrics.items():
            after = again.splits.get(split, {}).get(name)
            if after is None or repr(after) != repr(before):
                lines.append(f"{split} {name}: was {before}, is {after}")
    return lines


def changed_versions(run: Run, again: Run) -> list[str]:
    """Return a line for each package that has another version now."""
    before, after = (read_json(r.directory / "environment.json")["packages"] for r in (run, again))
    return [f"{name}: was {before.get(name)}, is {after.get(name)}" for name in sorted({*before, *after})
            if before.get(name) != after.get(name)]


def _check_files(run: Run) -> list[Receipt]:
    recorded = read_json(run.directory / "manifest.json")
    changed = []
    for name, digest in recorded.items():
        path = run.directory / name
        if not path.is_file():
            changed.append(Receipt(f"file {name}", False, "is gone"))
        elif sha256_file(path) != digest:
            changed.append(Receipt(f"file {name}", False, "is not what the run wrote"))
    return changed or [Receipt("files", True, f"{len(recorded)} files are as the run wrote them")]


def _check_model(run: Run) -> Receipt:
    try:
        model = Run(run.directory).model
    except HeadstartError as error:
        return Receipt("weights", False, str(error))
    return Receipt("weights", True, f"{model.backbone.spec.architecture} with {len(model.classes)} classes loads, "
                                    "its hash is right")


def _check_data(run: Run) -> list[Receipt]:
    try:
        dataset = load_data(run.job.data, format=run.data["format"], settings=run.job.reader, task=run.data["task"],
                            skip_bad=run.job.skip_bad)
    except HeadstartError as error:
        return [Receipt("data", False, f"can't be read any more: {error}")]
    now = {sample.id: (digest, _label_names(sample.label, dataset.classes))
           for sample, digest in zip(dataset.samples, content_hashes(dataset), strict=True)}
    classes = tuple(run.data["classes"])
    problems = []
    for row in run.samples.to_dict("records"):
        digest, names = now.get(row["id"], ("", ""))
        before = _label_names(tuple(row["label"]) if np.ndim(row["label"]) else row["label"], classes)
        if not digest:
            problems.append(Receipt(f"image {row['id']}", False, "is gone"))
        elif digest != row["sha256"]:
            problems.append(Receipt(f"image {row['id']}", False, "has changed"))
        elif names != before:
            problems.append(Receipt(f"label of {row['id']}", False, f"was {before}, is {names}"))
    return problems or [Receipt("data", True, f"{len(run.samples)} images and labels are as they were")]


def _check_target(run: Run) -> list[Receipt]:
    """Return whether the images of the target are as they were; nothing where the run has none."""
    if not (run.directory / TARGET).is_file():
        return []
    rows = [row for row in pd.read_parquet(run.directory / TARGET).to_dict("records") if row["path"]]
    there = [row for row in rows if Path(row["path"]).is_file()]
    hashes = dict(zip((row["id"] for row in there), hashes_of([Path(row["path"]) for row in there]), strict=True))
    problems = [Receipt(f"target image {row['id']}", False, "has changed" if row["id"] in hashes else "is gone")
                for row in rows if hashes.get(row["id"]) != row["sha256"]]
    return problems or [Receipt("target", True, f"{len(rows)} images are as they were")]


def _label_names(label: Any, classes: tuple[str, ...]) -> str:
    positions = label if isinstance(label, tuple) else (int(label),)
    return ", ".join(classes[int(i)] for i in positions)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """Return the commit of Headstart's own source, with `+changes` where files differ; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=5)
        inside = subprocess.run(["git", "ls-files", "--error-unmatch", __file__], cwd=folder, capture_output=True,
                                timeout=5)
        changes = subprocess.run(["git", "status", "--porcelain", "."], cwd=folder, capture_output=True, text=True,
                                 timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if commit.returncode or inside.returncode:
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
