"""How well `headstart labels` finds wrong labels: a tenth of the labels planted wrong, precision at 10 %.

    python benchmarks/bench_labels.py [--seeds 0 1 2] [--sets digits mnist ...] [--images 1000]    measure
    python benchmarks/bench_labels.py --table                                                      print the table

Planted `uniform`: to any other class; `confused`: to the class that a probe on the true labels takes it for most.
Copies are left out (side_by_side/sets.py), since two copies with different labels would tell themselves. A row is
written to results/labels.json as soon as it is measured, and the benchmark goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side.measure import commit
from side_by_side.sets import SETS, parts

from headstart.backbones.resolve import load
from headstart.data.dataset import Dataset
from headstart.events import silent
from headstart.features.store import FeatureStore
from headstart.files import cache_folder, write_json
from headstart.held_out import held_out
from headstart.seeds import generator
from headstart.selection.labels import examine
from headstart.selection.pool import nested

RESULTS = Path(__file__).parent / "results" / "labels.json"
NAMES = ("digits", "hymenoptera", "usps", "brain_mri", "webcam", "mnist", "amazon", "caltech10")
BACKBONE = "efficientnet_lite0"
SHARE, GOAL = 0.1, 0.8
KINDS = ("uniform", "confused")


def images(name: str, most: int) -> Dataset:
    """Return at most so many images of a set, of each class its share; the first ones hold the fewer."""
    found = parts(SETS[name])
    samples = sorted((*found.test, *found.pool), key=lambda sample: sample.id)
    data = Dataset(tuple(samples), found.classes, "classification", "class_folders")
    return data.subset(np.sort(nested(data.labels(), most, seed=0)))


def features(name: str, data: Dataset) -> np.ndarray:
    """Return float32 [N, D], kept in the cache."""
    backbone, _ = load(BACKBONE, size=SETS[name].size)
    preprocessing = backbone.spec.preprocessing
    if SETS[name].kind == "drawings":
        preprocessing = preprocessing.model_copy(update={"fit": "squash"})
    return FeatureStore(cache_folder() / "features").features(backbone, preprocessing, data, listen=silent)


def confused(vectors: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [C]: for each class the other one that a probe on the true labels gives its images most."""
    probabilities = held_out(vectors, labels, classes=classes).probabilities()
    mean = np.stack([probabilities[labels == c].mean(axis=0) for c in range(classes)])
    np.fill_diagonal(mean, -1)
    return mean.argmax(axis=1)


def plant(labels: np.ndarray, kind: str, twin: np.ndarray, seed: int) -> np.ndarray:
    """Return the labels, a tenth of them wrong."""
    rng = generator(seed, f"plant {kind}")
    rows = rng.choice(len(labels), round(SHARE * len(labels)), replace=False)
    planted = labels.copy()
    planted[rows] = twin[labels[rows]] if kind == "confused" else \
        (labels[rows] + rng.integers(1, len(twin), len(rows))) % len(twin)
    return planted


def scores(vectors: np.ndarray, labels: np.ndarray, true: np.ndarray, classes: int, seed: int) -> dict[str, float]:
    """Return how well the ranking, the flags and the baseline find the labels that differ from the true ones."""
    found = examine(vectors, labels, classes=classes, seed=seed)
    wrong, count = labels != true, round(SHARE * len(labels))

    def precision(quality: np.ndarray) -> float:
        return float(wrong[np.argsort(quality, kind="stable")[:count]].mean())

    flagged = found.issues
    return {"precision": precision(found.quality),
            "self_confidence": precision(found.probabilities[np.arange(len(labels)), labels]),
            "flagged": float(flagged.mean()), "flagged_recall": float(flagged[wrong].mean()),
            "flagged_precision": float(wrong[flagged].mean()) if flagged.any() else 0.0,
            "right_suggestion": float((found.suggested == true)[wrong].mean()),
            "probe_accuracy": float((found.probabilities.argmax(axis=1) == true).mean())}


def measure(seeds: list[int], names: list[str], most: int, done: set[tuple[str, str, int]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each set, kind and seed that has none yet; the first seed of all sets comes first."""
    known: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for seed in seeds:
        for name in names:
            if all((name, kind, seed) in done for kind in KINDS):
                continue
            if name not in known:
                try:
                    data = images(name, most)
                except (ImportError, OSError) as error:
                    print(f"{name}: left out ({error})", flush=True)
                    continue
                vectors, true = features(name, data), data.labels()
                known[name] = vectors, true, confused(vectors, true, len(data.classes))
            vectors, true, twin = known[name]
            for kind in KINDS:
                if (name, kind, seed) in done:
                    continue
                began = time.process_time()
                row = scores(vectors, plant(true, kind, twin, seed), true, len(twin), seed)
                yield {"set": name, "kind": kind, "seed": seed, "most": most, "images": len(true), "classes": len(twin),
                       "size": SETS[name].size, **{key: round(value, 4) for key, value in row.items()},
                       "cpu_seconds": round(time.process_time() - began, 1), "commit": commit()}


def recorded() -> list[dict[str, Any]]:
    """Return the rows that are measured already."""
    return json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []


def table(rows: list[Mapping[str, Any]]) -> str:
    """Return the means over the seeds as a Markdown table."""
    lines = ["| set, images | planted | seeds | precision at 10 % | self-confidence | right suggestion | flagged "
             "| precision, recall of the flagged | probe right | |", "|" + "---|" * 10]
    for name in NAMES:
        for kind in KINDS:
            mine = [row for row in rows if (row["set"], row["kind"]) == (name, kind)]
            if not mine:
                continue
            mean = {key: statistics.fmean(row[key] for row in mine) for key in mine[0]
                    if isinstance(mine[0][key], float)}
            lines.append(
                f"| {name}, {mine[0]['images']} | {kind} | {len(mine)} | {mean['precision']:.3f} "
                f"| {mean['self_confidence']:.3f} | {mean['right_suggestion']:.3f} | {mean['flagged']:.3f} "
                f"| {mean['flagged_precision']:.3f}, {mean['flagged_recall']:.3f} | {mean['probe_accuracy']:.3f} "
                f"| {'reached' if mean['precision'] >= GOAL else '**not reached**'} |")
    return "\n".join(lines)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--images", type=int, default=1000, help="at most, of a set")
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    rows = recorded()
    if not words.table:
        done = {(row["set"], row["kind"], row["seed"]) for row in rows if row["most"] == words.images}
        for row in measure(words.seeds, words.sets, words.images, done):
            rows = [*recorded(), row]  # another process may have measured other sets meanwhile
            write_json(RESULTS, {"backbone": BACKBONE, "share": SHARE, "rows": rows})
            print(row, flush=True)
    print(table([row for row in rows if row["most"] == words.images]))


if __name__ == "__main__":
    main()
