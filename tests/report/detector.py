"""A run directory of a detector, as an integrator writes it, with pictures that are drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from headstart.evaluation.boxes import compare_detections, detection_rows, evaluate_detections
from headstart.files import write_json
from headstart.metrics.boxes import truths_of
from headstart.report.page import write_report
from headstart.types import Detections, Instance, Sample

CLASSES = ["<b>disc</b>", "square", "ring"]


def pictures(folder: Path, count: int, rng: np.random.Generator) -> list[Sample]:
    """Draw pictures of squares and discs and return them with their boxes; the third class is never there."""
    folder.mkdir(parents=True)
    samples = []
    for number in range(count):
        picture = Image.new("RGB", (420, 300), (210, 215, 205))
        objects = []
        for _ in range(rng.integers(0, 5)):
            left, top = rng.integers(0, 340), rng.integers(0, 220)
            side, label = rng.integers(15, 80), int(rng.integers(2))
            draw = ImageDraw.Draw(picture)
            (draw.rectangle if label else draw.ellipse)((left, top, left + side, top + side), fill=(90, 60, 120))
            objects.append(Instance(label, (float(left), float(top), float(left + side), float(top + side))))
        path = folder / f"{number:03d}.png"
        picture.save(path)
        samples.append(Sample(path.name, path, None, objects=tuple(objects)))
    return samples


def said_of(samples: list[Sample], rng: np.random.Generator, *, spread: float) -> list[Detections]:
    found = []
    for sample in samples:
        rows = [(*(np.array(o.box) + rng.normal(0, spread, 4)), rng.beta(5, 2), o.label if rng.random() < 0.9 else 2)
                for o in sample.objects if rng.random() < 0.85]
        left, top = rng.integers(0, 300), rng.integers(0, 200)
        rows.append((left, top, left + 40, top + 40, rng.beta(2, 4), int(rng.integers(2))))
        table = np.array(rows)
        table[:, 2:4] = np.maximum(table[:, 2:4], table[:, :2] + 1)
        found.append(Detections(table[:, :4].astype("f4"), table[:, 4].astype("f4"), table[:, 5].astype("i8")))
    return found


def write_detector_run(folder: Path, *, images: int = 30) -> Path:
    """Write the run and its report."""
    rng = np.random.default_rng(0)
    samples = pictures(folder.parent / f"{folder.name}-pictures", images, rng)
    truths, found, weaker = truths_of(samples), said_of(samples, rng, spread=3), said_of(samples, rng, spread=12)
    final = evaluate_detections(found, truths, CLASSES, thresholds=(0.4, 0.5, 0.5), resamples=50)
    other = evaluate_detections(weaker, truths, CLASSES, thresholds=(0.4, 0.5, 0.5), resamples=50)
    folder.mkdir()
    write_json(folder / "metrics.json", {"test": final.to_json()})
    write_json(folder / "baselines.json", {"scratch": {"test": other.to_json()}})
    write_json(folder / "details.json", {"test": final.details})
    gap = compare_detections(found, weaker, truths, CLASSES, resamples=50)
    write_json(folder / "comparison.json", [{"a": "finetune", "b": "scratch", **gap.to_json()}])
    counts = np.bincount(np.concatenate([t.labels for t in truths]), minlength=3)
    write_json(folder / "data.json", {
        "schema": 1, "fingerprint": "5d" * 32, "root": str(folder.parent), "format": "coco", "task": "detection",
        "classes": CLASSES, "splits": {"train": {"count": 99, "per_class": {}}, "test": {
            "count": images, "per_class": dict(zip(CLASSES, counts.tolist(), strict=True))}}})
    write_json(folder / "run.json", {"schema": 1, "name": folder.name, "status": "running", "seconds": 60.0,
                                     "method": "finetune", "methods": [{"name": "finetune"}]})
    pd.DataFrame(detection_rows(samples, found, truths, final.errors, split="test")).to_parquet(
        folder / "predictions.parquet", index=False)
    write_report(folder)
    return folder
