"""How far to trust `headstart forecast`: the whole data foretold from their half and their quarter.

    python benchmarks/bench_forecast.py [--budget 1800]     measure what is missing
    python benchmarks/bench_forecast.py --again             forecast once more from the curves that were measured
    python benchmarks/bench_forecast.py --table             write the table into docs/benchmarks.md

Every image set of side_by_side/sets.py, two backbones. A curve of all images says what is true; subsets, drawn anew for
each seed, are forecast to its largest size. Results are appended to results/forecast.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side.results import append_row, put_table, read_rows
from side_by_side.sets import SETS, ImageSet, parts

from headstart.backbones.resolve import load
from headstart.data.dataset import Dataset
from headstart.events import silent
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.selection.curve import Curve, probe_curve
from headstart.selection.forecast import FEWEST_POINTS, forecast
from headstart.selection.pool import nested

RESULTS = Path(__file__).parent / "results" / "forecast.jsonl"
BACKBONES = ("efficientnet_lite0", "mobilenet_v2")
SHARES, SEEDS = (0.5, 0.25), (0, 1, 2)
MOST = 1200
START, END = "<!-- forecast table -->\n", "<!-- end of the forecast table -->\n"


def features(found: ImageSet, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the features and labels of at most MOST images of a set, and its number of classes."""
    known = parts(found)
    samples = (*known.pool, *known.test)
    everything = Dataset(samples, known.classes, "classification", "class_folders")
    rows = np.sort(nested(everything.labels(), min(MOST, len(samples)), seed=0))
    part = everything.subset(rows)
    backbone, _ = load(name, size=found.size)
    preprocessing = backbone.spec.preprocessing
    if found.kind == "drawings":
        preprocessing = preprocessing.model_copy(update={"fit": "squash"})
    store = FeatureStore(cache_folder() / "features", images=len(part))
    return store.features(backbone, preprocessing, part, listen=silent), part.labels(), len(known.classes)


def measure(found: ImageSet, backbone: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each share and seed."""
    vectors, labels, classes = features(found, backbone)
    whole = probe_curve(vectors, labels, classes=classes, seed=0)
    for share in SHARES:
        for seed in SEEDS:
            rows = nested(labels, int(share * len(labels)), seed=seed)
            curve = probe_curve(vectors[rows], labels[rows], classes=classes, seed=seed)
            row = {"set": found.name, "backbone": backbone, "share": share, "seed": seed, "images": len(rows),
                   "known": round(float(curve.mean[-1]), 4), "true": round(float(whole.mean[-1]), 4),
                   "sizes": curve.sizes.tolist(), "accuracy": np.round(curve.accuracy, 4).tolist(),
                   "held_out": curve.held_out, "target": int(whole.sizes[-1])}
            if len(curve.sizes) >= FEWEST_POINTS:
                yield foretold(row)


def foretold(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a curve with its forecast."""
    curve = Curve(np.array(row["sizes"]), np.array(row["accuracy"]), row["held_out"], np.zeros((len(row["sizes"]), 1)),
                  different=row["images"])
    ahead = forecast(curve, seed=row["seed"])
    assert ahead is not None, "three points"
    point = ahead.at(float(row["target"]))
    return {**row, "value": round(point.value, 4), "low": round(point.low, 4), "high": round(point.high, 4),
            "law": ahead.law}


def table(found: list[dict[str, Any]]) -> str:
    """Return the coverage by set and share, and of all."""
    lines = ["| set | from | forecasts | accuracy then | forecast, mean | true | inside the 80% interval | width |",
             "|---|---|---|---|---|---|---|---|"]
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["set"], row["share"]].append(row)
        groups["all", row["share"]].append(row)
        groups["all", 0].append(row)
    for (name, share), members in sorted(groups.items(), key=lambda item: (item[0][0] == "all", item[0])):
        inside = np.mean([row["low"] <= row["true"] <= row["high"] for row in members])
        means = {key: np.mean([row[key] for row in members]) for key in ("known", "value", "true")}
        width = np.mean([row["high"] - row["low"] for row in members])
        part = {0.5: "the half", 0.25: "the quarter", 0: "both"}[share]
        lines.append(f"| {name} | {part} | {len(members)} | {means['known']:.3f} | {means['value']:.3f} | "
                     f"{means['true']:.3f} | {inside:.2f} | {width:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=1800, metavar="SECONDS")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if words.again:
        found = [foretold(row) for row in read_rows(RESULTS)]
        RESULTS.write_text("".join(json.dumps(row) + "\n" for row in found))
        return
    if words.table:
        put_table(table(read_rows(RESULTS)), start=START, end=END)
        return
    torch.set_num_threads(1)
    began = time.monotonic()
    done = {(row["set"], row["backbone"]) for row in read_rows(RESULTS)}
    for backbone in BACKBONES:
        for found in SETS.values():
            if (found.name, backbone) in done or time.monotonic() - began > words.budget:
                continue
            for row in list(measure(found, backbone)):
                append_row(RESULTS, row)
            print(f"{found.name} {backbone}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
