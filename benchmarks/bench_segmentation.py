"""Semantic segmentation by transfer on two cores: fine-tuned, frozen and from scratch, at the same number of epochs.

    python benchmarks/bench_segmentation.py [--budget 3600] [--seeds 0,1,2] [--sets camvid]   measure what is missing
    python benchmarks/bench_segmentation.py --table                       write the table into docs/benchmarks.md

CamVid as it is divided. Of the membranes 6 slices of a seeded permutation are the test part, 4 validation; of
Penn-Fudan 50 and 20. `pedestrians` are the objects of Penn-Fudan, for Mask R-CNN. A run of `finetune` has the frozen
baseline inside: the probe that it starts from. Results are appended to results/segmentation.jsonl.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side.measure import commit
from side_by_side.seeds import run_or_table

import headstart
from headstart.data.dataset import Dataset
from headstart.data.load import load_data

DATA = Path(__file__).parents[2] / "shared" / "data"
RESULTS = Path(__file__).parent / "results" / "segmentation.jsonl"
START, END = "<!-- segmentation table -->\n", "<!-- end of the segmentation table -->\n"
READERS: dict[str, dict[str, Any]] = {
    "membranes": {"classes": "0:membrane,255:cell"},
    "camvid": {"classes": "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,cyclist,void"},
    "pennfudan": {"foreground": True, "classes": "street,person"},
    "pedestrians": {"instances": True, "classes": "person"}}
FOLDERS = {"pedestrians": "pennfudan"}
"""Where the set is another view of a folder: Penn-Fudan's people, each with its pixels."""
HEADLINES = {"membranes": ("dice", "membrane"), "camvid": ("miou", ""), "pennfudan": ("iou", "person"),
             "pedestrians": ("mask_ap50", "")}
"""What the goal is set in: a metric, of one class where it has a name."""
GOALS = {"membranes": 0.85, "camvid": 0.50, "pennfudan": 0.80, "pedestrians": 0.65}
"""Of the fine-tuned run; where it is not reached, the table has the curve against time below it."""
SIZES = {"membranes": 384, "camvid": 400, "pennfudan": 480, "pedestrians": 320}
EPOCHS = {"membranes": 8, "camvid": 8, "pennfudan": 11, "pedestrians": 12}
PROBE_EPOCHS = {"membranes": 1, "camvid": 2, "pennfudan": 2, "pedestrians": 4}
PLANS: dict[str, dict[str, Any]] = {"membranes": {"average": "ema"}, "pennfudan": {"average": "ema"}}
SETTINGS: dict[str, dict[str, Any]] = {
    "membranes": {"segmenter": {"segmenter": "unet", "width": 64}, "slices": {"size": 192, "overlap": 0.1}},
    "pedestrians": {"detector": "mask_rcnn"}}
"""Where the defaults are not what fits: the thin membranes want fine edges, and are looked at in slices, enlarged."""
HELD_OUT = {"membranes": (6, 4), "pennfudan": (50, 20), "pedestrians": (50, 20)}
"""Images of test and of validation, where the data come without."""
CURVE = ("method", "epoch", "val_miou", "val_ap", "seconds")
"""What is kept of each epoch."""
BACKBONE = "efficientnet_lite0"
SEED = 0


def read(name: str) -> Dataset:
    """Return a set with its splits."""
    dataset = load_data(DATA / FOLDERS.get(name, name), format="masks", settings=READERS[name])
    if name not in HELD_OUT:
        return dataset
    test, val = HELD_OUT[name]
    order = np.random.default_rng(SEED).permutation(len(dataset))
    rank = {int(row): place for place, row in enumerate(order[::-1])}
    return replace(dataset, samples=tuple(
        replace(sample, split="test" if rank[row] < test else "val" if rank[row] < test + val else "train")
        for row, sample in enumerate(dataset.samples)))


def measure(name: str, method: str, seed: int) -> list[dict[str, Any]]:
    """Return the rows of one run: of the method, and of the frozen backbone where it started from it."""
    dataset = read(name)
    torch.set_num_threads(1)
    epochs = EPOCHS[name] + (PROBE_EPOCHS[name] if method == "scratch" else 0)
    settings = {"method": method, "epochs": epochs, "augment": "standard", **PLANS.get(name, {})}
    chain = [settings] if method == "scratch" else [{"method": "probe", "epochs": PROBE_EPOCHS[name]}, settings]
    with tempfile.TemporaryDirectory() as folder:
        began, clock = time.process_time(), time.perf_counter()
        run = headstart.adapt(dataset, method=chain, backbone=BACKBONE, seed=seed, out=Path(folder) / "run",
                              tracking="off", image_size=SIZES[name], allow=["leak_near"], **SETTINGS.get(name, {}))
        spent, seconds = time.process_time() - began, time.perf_counter() - clock
        found = {method: {key: value.to_json() for key, value in run.splits["test"].items()}}
        if method != "scratch":
            found["probe"] = json.loads((run.directory / "baselines.json").read_text())["probe"]["test"]
        details = json.loads((run.directory / "details.json").read_text())["test"]["per_class"]
        history = run.history.to_dict("records")
    metric, label = HEADLINES[name]
    about = {"cpu_seconds": round(spent, 1), "seconds": round(seconds, 1), "image_size": SIZES[name],
             **SETTINGS.get(name, {}),
             "epochs": epochs, "commit": commit()}
    return [{"set": name, "method": kind, "seed": seed, **values,
             "headline": (values[metric] if not label else details[label][metric] if kind == method else None),
             **about, "history": [{key: row[key] for key in CURVE if key in row} for row in history
                                  if row["method"] == kind]}
            for kind, values in found.items()]


def table(found: list[dict[str, Any]]) -> str:
    """Return the headline and the mean IoU of each set and method, means over the seeds, intervals of the first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["set"], row["method"]].append(row)
    lines = ["", "| set | method | seeds | goal's metric | 95% interval, first seed | mean IoU | 95% interval, first "
             "seed | CPU minutes of the run |", "|---|---|---|---|---|---|---|---|"]
    curves: list[str] = []
    for name, method in itertools.product(READERS, ("finetune", "probe", "scratch")):
        members = sorted(groups.get((name, method), []), key=lambda row: int(row["seed"]))
        if not members:
            continue
        heads = [row["headline"] for row in members]
        known = all(head is not None for head in heads)
        first = members[0].get("miou")
        lines.append(
            f"| {name} | {method} | {len(members)} | "
            + (f"{np.mean([head['value'] for head in heads]):.3f} | {heads[0]['low']:.3f} to {heads[0]['high']:.3f} | "
               if known else " | | ")
            + (f"{np.mean([row['miou']['value'] for row in members]):.3f} | {first['low']:.3f} to "
               f"{first['high']:.3f} | " if first else " | | ")
            + f"{np.mean([row['cpu_seconds'] for row in members]) / 60:.1f} |")
        if method == "finetune" and np.mean([head["value"] for head in heads]) < GOALS[name]:
            curves += ["", curve(name, members[0])]
    return "\n".join(lines + curves) + "\n"


def curve(name: str, row: dict[str, Any]) -> str:
    """Return in a sentence how a fine-tuned run got better with time."""
    clock = itertools.accumulate(epoch["seconds"] for epoch in row["history"])
    points = ", ".join(f"{epoch['val_miou']:.3f} ({seconds / 60:.0f} min)"
                       for epoch, seconds in zip(row["history"], clock, strict=True))
    return (f"{name}, seed {row['seed']}: mean IoU on validation after each epoch of fine-tuning, and the time it took "
            f"until then: {points}.")


def told(row: dict[str, Any]) -> str:
    """Return what is printed of a row."""
    head = row["headline"]["value"] if row["headline"] else float("nan")
    whole = f", mean IoU {row['miou']['value']:.3f}" if "miou" in row else ""
    return f"{row['set']} {row['method']} {row['seed']}: {head:.3f}{whole}, {row['cpu_seconds']:.0f} CPU s"


if __name__ == "__main__":
    run_or_table(__doc__, sets=READERS, results=RESULTS, marks=(START, END), measure=measure, table=table, told=told)
