"""How far to trust `adapt --method auto`: its result and its time beside those of every backbone with every method.

    python benchmarks/bench_auto.py [--budget 3600] [--part 0/2] [--sets digits,usps] [--labels 5,20,all]
                                                                    measure what is missing (hours)
    python benchmarks/bench_auto.py --table                         write the table into docs/benchmarks.md

For each image set of side_by_side/sets.py and each number of labels: all backbones that are here with all methods, at
the course of the side-by-side benchmark, and `auto`, which chooses among them by its own evidence. Results are appended
to results/auto.jsonl.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import methods
from side_by_side.measure import accuracy, commit
from side_by_side.results import append_row, put_table, read_rows
from side_by_side.sets import SETS, draw, most, parts

from headstart.adaptation import adapt_all
from headstart.backbones.resolve import choose, search
from headstart.data.dataset import Dataset, Splits
from headstart.data.splits import split
from headstart.events import silent
from headstart.job import Job
from headstart.opening import starting_model
from headstart.selection.advised import follow
from headstart.selection.pool import pool_of

RESULTS = Path(__file__).parent / "results" / "auto.jsonl"
NAMES = ("hymenoptera", "digits", "brain_mri", "amazon", "usps", "caltech10", "webcam", "mnist")
BUDGETS = (5, 20, 100, None)
METHODS = ("probe", "wise-ft", "norm-only", "lora")
AUTO = "auto"
VAL, MOST_TEST, SEED = 0.2, 600, 0
START, END = "<!-- auto table -->\n", "<!-- end of the auto table -->\n"


@dataclass(frozen=True)
class Cell:
    """A backbone with a method, or `auto`, on so many labels a class of a set."""

    set: str
    images: int | None
    backbone: str
    method: str


def cells() -> Iterator[Cell]:
    """Yield all cells, `auto` before what it is compared with."""
    backbones = [spec.architecture for spec in search(available=True)]
    for images in BUDGETS:
        for name in NAMES:
            if images is not None and images >= most(parts(SETS[name])):
                continue  # the same as all
            yield Cell(name, images, AUTO, AUTO)
            for backbone in backbones:
                for method in METHODS:
                    yield Cell(name, images, backbone, method)


def draw_splits(cell: Cell) -> Splits:
    """Return the drawn images in train and validation, and at most MOST_TEST of the set's test part."""
    found = parts(SETS[cell.set])
    samples = [dataclasses.replace(sample, split="train") for sample in draw(found, cell.images, SEED)]
    by_class = sorted(found.test, key=lambda sample: (int(sample.label), sample.id))  # type: ignore[arg-type]
    step = max(1.0, len(by_class) / MOST_TEST)
    samples += [dataclasses.replace(by_class[int(place * step)], split="test")
                for place in range(int(len(by_class) / step))]
    return split(Dataset(tuple(samples), found.classes, "classification", "class_folders"), seed=SEED, val=VAL)


def measure(cell: Cell, threads: int) -> dict[str, Any]:
    """Return the row of a cell: accuracy on test, CPU seconds of choosing and adapting, what was chosen."""
    torch.set_num_threads(threads)
    kind, splits = SETS[cell.set].kind, draw_splits(cell)
    everything = Dataset((*splits.train.samples, *splits.val.samples, *splits.test.samples), splits.train.classes,
                         "classification", "class_folders")
    settings: dict[str, Any] = {"data": cell.set, "image_size": SETS[cell.set].size, "seed": SEED, "tracking": "off",
                                "workers": 1, "fit": "squash" if kind == "drawings" else None}
    settings["method"] = AUTO if cell.method == AUTO else [methods.settings(
        cell.method, kind, _course(cell.images), len(splits.train))]
    if cell.backbone != AUTO:
        settings["backbone"] = cell.backbone
    with tempfile.TemporaryDirectory() as folder:
        job = Job.parse(settings)
        began, clock = time.process_time(), time.perf_counter()
        if cell.method == AUTO:
            job, _ = follow(job, pool_of(job, everything, [], splits), silent)
        chosen = time.process_time() - began
        model, job = starting_model(job, everything, silent)
        chain = adapt_all(job.model_copy(update={"baselines": ()}), model, splits, work=Path(folder), listen=silent,
                          remaining=lambda: float("inf"))
        spent, seconds = time.process_time() - began, time.perf_counter() - clock
    return {**dataclasses.asdict(cell), "accuracy": accuracy(chain[-1].model, splits.test),
            "val_accuracy": accuracy(chain[-1].model, splits.val), "cpu_seconds": round(spent, 2),
            "choosing_cpu_seconds": round(chosen, 2), "seconds": round(seconds, 2), "chosen_backbone": job.backbone,
            "chosen_method": job.model_dump(mode="json")["method"][-1], "train": len(splits.train),
            "test": len(splits.test), "threads": threads, "commit": commit()}


def _course(images: int | None) -> int | None:
    """Return the number of labels whose course of training is the nearest one known."""
    return None if images is None else 10 if images < 30 else 50


def table(found: list[dict[str, Any]]) -> str:
    """Return the regret of auto and of the naive rules, for each set and number of labels that is complete."""
    groups: dict[tuple[str, int | None], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["set"], row["images"]].append(row)
    everything = len(search(available=True)) * len(METHODS)
    naive, _ = choose()
    lines = ["| set | labels a class | best of all, by validation (by test) | auto | regret | always fine-tune | "
             "always probe | time, share of all | auto took |", "|---|---|---|---|---|---|---|---|---|"]
    regrets: dict[str, list[float]] = defaultdict(list)
    for (name, images), members in sorted(groups.items(),
                                          key=lambda item: (item[0][1] or math.inf, NAMES.index(item[0][0]))):
        auto = next((row for row in members if row["method"] == AUTO), None)
        others = [row for row in members if row["method"] != AUTO]
        if auto is None or len(others) < everything:
            continue
        top = max(row["val_accuracy"] for row in others)
        # Where several are the best by validation, it can't choose among them: their mean is what to expect.
        best = float(np.mean([row["accuracy"] for row in others if row["val_accuracy"] == top]))
        rules = {method: next(row["accuracy"] for row in others if row["backbone"] == naive.architecture
                              and row["method"] == method) for method in ("wise-ft", "probe")}
        share = auto["cpu_seconds"] / sum(row["cpu_seconds"] for row in others)
        oracle = max(row["accuracy"] for row in others)
        for key, value in (("auto", auto["accuracy"]), *rules.items()):
            regrets[key].append(best - value)
            regrets[f"{key}, oracle"].append(oracle - value)
        regrets["share"].append(share)
        lines.append(f"| {name} | {images or 'all'} | {best:.3f} ({oracle:.3f}) | {auto['accuracy']:.3f} | "
                     f"{100 * (best - auto['accuracy']):+.1f} | {rules['wise-ft']:.3f} | "
                     f"{rules['probe']:.3f} | {share:.2f} | {_taken(auto)} |")
    if regrets["auto"]:
        mean = {key: 100 * float(np.mean(values)) for key, values in regrets.items()}
        lines.append("")
        lines.append(
            f"Mean regret, points, against the best of all by validation (by test, which nobody knows): auto "
            f"{mean['auto']:+.2f} ({mean['auto, oracle']:+.2f}), worst {100 * max(regrets['auto']):+.1f}; always "
            f"fine-tune {mean['wise-ft']:+.2f} ({mean['wise-ft, oracle']:+.2f}); always probe {mean['probe']:+.2f} "
            f"({mean['probe, oracle']:+.2f}). Time: {np.mean(regrets['share']):.3f} of all on average, "
            f"{len(regrets['auto'])} rows.")
    return "\n".join(lines) + "\n"


def _taken(row: Mapping[str, Any]) -> str:
    method = row["chosen_method"]
    rate = f", rate {method['lr_backbone']:g}" if "lr_backbone" in method else ""
    return f"{row['chosen_backbone']}, {method['method']}{rate}"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--sets", default=",".join(NAMES))
    parser.add_argument("--labels", default=",".join(str(images or "all") for images in BUDGETS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if words.table:
        put_table(table(read_rows(RESULTS)), start=START, end=END)
        return
    began = time.monotonic()
    mine, count = map(int, words.part.split("/"))
    sets, labels = words.sets.split(","), words.labels.split(",")
    done = {(row["set"], row["images"], row["backbone"], row["method"]) for row in read_rows(RESULTS)}
    wanted = (cell for cell in cells() if cell.set in sets and str(cell.images or "all") in labels)
    for number, cell in enumerate(wanted):
        if number % count != mine or dataclasses.astuple(cell) in done:
            continue
        if time.monotonic() - began > words.budget:
            return
        row = measure(cell, words.threads)
        append_row(RESULTS, row)
        print(f"{cell}: {row['accuracy']:.3f}, {row['cpu_seconds']:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
