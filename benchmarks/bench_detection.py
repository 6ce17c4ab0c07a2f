"""Detection by transfer on two cores: fine-tuned, frozen and from scratch, at the same number of epochs.

    python benchmarks/bench_detection.py [--budget 3600] [--seeds 0,1,2] [--sets bccd]    measure what is missing
    python benchmarks/bench_detection.py --table                             write the table into docs/benchmarks.md

BCCD as it is divided; of Penn-Fudan the last 50 of a seeded permutation of the file names are the test part, 20 before
them validation. A run of `finetune` has the frozen baseline inside: the probe that it starts from. Results are appended
to results/detection.jsonl.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from side_by_side.measure import commit
from side_by_side.seeds import run_or_table

import headstart
from headstart.data.annotations import Marked, Picture, detection
from headstart.data.dataset import Dataset
from headstart.data.load import load_data

DATA = Path(__file__).parents[2] / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "detection.jsonl"
START, END = "<!-- detection table -->\n", "<!-- end of the detection table -->\n"
SETS = ("bccd", "pennfudan")
SETTINGS: dict[str, Any] = {"image_size": 320, "detector": "yolox"}
EPOCHS = {"bccd": 12, "pennfudan": 24}
BACKBONE = "efficientnet_lite0"
PROBE_EPOCHS = 8
METRICS = ("ap", "ap50", "ap75")
SEED = 0
BOX = re.compile(r"\(Xmin, Ymin\) - \(Xmax, Ymax\) : \((\d+), (\d+)\) - \((\d+), (\d+)\)")


def read(name: str) -> Dataset:
    """Return a set with its splits."""
    return load_data(DATA / "bccd") if name == "bccd" else penn_fudan()


def penn_fudan() -> Dataset:
    """Return Penn-Fudan's pedestrians, divided by a seeded permutation of the files."""
    files = sorted((DATA / "pennfudan" / "PNGImages").glob("*.png"))
    order = np.random.default_rng(SEED).permutation(len(files))
    split = {int(row): "test" if place >= len(files) - 50 else "val" if place >= len(files) - 70 else "train"
             for place, row in enumerate(order)}
    pictures = []
    for row, file in enumerate(files):
        text = (DATA / "pennfudan" / "Annotation" / f"{file.stem}.txt").read_text()
        marks = [Marked("person", (float(a) - 1, float(b) - 1, float(c), float(d)))
                 for a, b, c, d in (map(int, found) for found in BOX.findall(text))]
        with Image.open(file) as image:
            size = (image.height, image.width)
        pictures.append(Picture(id=file.name, source=file, objects=tuple(marks), split=split[row], annotated=size,
                                where=f"Annotation/{file.stem}.txt"))
    return detection(pictures, format="pennfudan", root=DATA / "pennfudan")


def measure(name: str, method: str, seed: int) -> list[dict[str, Any]]:
    """Return the rows of one run: of the method, and of the frozen backbone where it started from it."""
    dataset = read(name)
    torch.set_num_threads(1)
    settings = {"method": method, "epochs": EPOCHS[name] + (PROBE_EPOCHS if method == "scratch" else 0),
                "augment": "standard"}
    chain = [settings] if method == "scratch" else [{"method": "probe", "epochs": PROBE_EPOCHS}, settings]
    with tempfile.TemporaryDirectory() as folder:
        began, clock = time.process_time(), time.perf_counter()
        run = headstart.adapt(dataset, method=chain, backbone=BACKBONE, seed=seed, out=Path(folder) / "run",
                              tracking="off", allow=["leak_near"], **SETTINGS)
        spent, seconds = time.process_time() - began, time.perf_counter() - clock
        found = {method: {metric: run.splits["test"][metric].to_json() for metric in METRICS},
                 **{kind: json.loads((run.directory / "baselines.json").read_text())[kind]["test"]
                    for kind in ("probe",) if method != "scratch"}}
        history = run.history.to_dict("records")
    about = {"cpu_seconds": round(spent, 1), "seconds": round(seconds, 1), **SETTINGS,
             "epochs": chain[-1]["epochs"], "commit": commit()}
    return [{"set": name, "method": kind, "seed": seed, **{metric: values[metric] for metric in METRICS}, **about,
             "history": [{key: row[key] for key in ("method", "epoch", "val_ap", "seconds") if key in row}
                         for row in history if row["method"] == kind]}
            for kind, values in found.items()]


def table(found: list[dict[str, Any]]) -> str:
    """Return AP and AP50 of each set and method, the mean over the seeds, with the intervals of the first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["set"], row["method"]].append(row)
    lines = ["| set | method | seeds | AP50 | 95% interval, first seed | AP50:95 | CPU minutes of the run |",
             "|---|---|---|---|---|---|---|"]
    for name, method in itertools.product(SETS, ("finetune", "probe", "scratch")):
        members = groups.get((name, method))
        if members:
            first = members[0]["ap50"]
            lines.append(
                f"| {name} | {method} | {len(members)} | {np.mean([row['ap50']['value'] for row in members]):.3f} | "
                f"{first['low']:.3f} to {first['high']:.3f} | {np.mean([row['ap']['value'] for row in members]):.3f} | "
                f"{np.mean([row['cpu_seconds'] for row in members]) / 60:.1f} |")
    return "\n".join(lines) + "\n"


def told(row: dict[str, Any]) -> str:
    """Return what is printed of a row."""
    return (f"{row['set']} {row['method']} {row['seed']}: AP50 {row['ap50']['value']:.3f}, "
            f"{row['cpu_seconds']:.0f} CPU s")


if __name__ == "__main__":
    run_or_table(__doc__, sets=SETS, results=RESULTS, marks=(START, END), measure=measure, table=table, told=told)
