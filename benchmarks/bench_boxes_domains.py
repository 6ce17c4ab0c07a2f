"""Detectors on another domain: half of a set, and the other half in another light, by each method that adapts.

    python benchmarks/bench_boxes_domains.py [--sets pennfudan,bccd] [--views night,fog] [--methods "fda mean_teacher"]

Half of a set's train and validation images is the source; the other half, changed by a view, is the target, whose boxes
prove alone. Every chain of methods starts from the source's fine-tuned detector. The guard is off; what it would have
said of the last method stands beside. Rows are appended to results/boxes_domains.jsonl and printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_detection import BACKBONE, SEED, read
from PIL import Image
from side_by_side.measure import commit
from side_by_side.results import append_row

import headstart
from headstart.conversion import write_dataset
from headstart.runs import Run, load_run
from headstart.writers.coco import Coco

RESULTS = Path(__file__).parent / "results" / "boxes_domains.jsonl"
SETTINGS: dict[str, Any] = {"image_size": 256, "tracking": "off", "allow": ["leak_near"]}
SOURCE = [{"method": "probe", "epochs": 8}, {"method": "finetune", "epochs": 24, "augment": "standard"}]
FDA: dict[str, Any] = {"method": "fda", "epochs": 6}
TEACHER: dict[str, Any] = {"method": "mean_teacher"}
METHODS: Mapping[str, list[dict[str, Any]]] = {
    "adabn": [{"method": "adabn"}], "fda": [FDA], "mean_teacher": [TEACHER], "fda,mean_teacher": [FDA, TEACHER],
    # As of masks, and with the usual threshold of a teacher of boxes.
    "rough_fda": [{**FDA, "epochs": 12, "lr_head": 1e-3, "lr_backbone": 5e-4, "beta": 0.01}],
    "fda_beta": [{**FDA, "beta": 0.01}],
    "sure_teacher": [{**TEACHER, "epochs": 6, "threshold": 0.7, "decay": 0.99}]}
METRICS = ("ap50", "ap")


def night(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float [H, W, 3], dark and blue, with the noise of a sensor."""
    return pixels * (0.12, 0.16, 0.3) + rng.normal(0, 12, pixels.shape)


def dusk(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float [H, W, 3], darker and bluer, with the same noise."""
    return pixels * (0.35, 0.45, 0.65) + rng.normal(0, 12, pixels.shape)


def fog(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float [H, W, 3], with little contrast before a bright grey, thicker at the top."""
    depth = np.linspace(0.85, 0.55, len(pixels))[:, None, None]
    return pixels * (1 - depth) + depth * 215 + rng.normal(0, 6, pixels.shape)


VIEWS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {"night": night, "dusk": dusk, "fog": fog}


def write_domains(name: str, view: str, folder: Path) -> tuple[Path, Path]:
    """Write source and target as COCO; return their folders."""
    dataset = read(name)
    rows = [row for row, sample in enumerate(dataset.samples) if sample.split != "test"]
    mixed = np.random.default_rng(SEED).permutation(rows)
    places = []
    for part, some in (("source", mixed[::2]), (f"target-{view}", mixed[1::2])):
        samples = tuple(replace(dataset.samples[row], split=None) for row in sorted(some.tolist()))
        write_dataset(replace(dataset, samples=samples), Coco(), folder / part)
        places.append(folder / part)
    for number, path in enumerate(sorted((folder / f"target-{view}").rglob("*.*"))):
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"), np.float64)
            seen = VIEWS[view](pixels, np.random.default_rng([SEED, number]))
            # Without the blocks of a second JPEG: they are no part of the view.
            Image.fromarray(np.clip(np.rint(seen), 0, 255).astype(np.uint8)).save(path, quality=98)
    return places[0], places[1]


def measure(name: str, view: str, methods: list[str], folder: Path) -> None:
    """Append and print a row for the source alone and for each method."""
    torch.set_num_threads(1)
    source, target = write_domains(name, view, folder)
    start: Run | None = None
    for method in ("source_only", *methods):
        clock, began = time.perf_counter(), time.process_time()
        chain = SOURCE if start is None else [{**one, "guard": "none"} for one in METHODS[method]]
        begin = {"backbone": BACKBONE, "detector": "yolox"} if start is None else {"init_from": str(start.directory)}
        run = headstart.adapt(source, target=str(target), method=chain, baselines="", seed=SEED, out=folder / method,
                              **begin, **SETTINGS)
        start = start or run
        judged = folder / method / "validators.json"
        scores = [row["scores"]["reverse_validation"] for row in json.loads(judged.read_text())
                  if row["method"] == chain[-1]["method"] and row["epoch"] in (0, None)] if judged.exists() else []
        row = {"set": name, "view": view, "method": method, "chain": chain, "seed": SEED,
               **{f"{part}_{metric}": load_run(folder / method).splits[part][metric].to_json()
                  for part in ("target", "test") for metric in METRICS},
               "guard": scores,
               "cpu_seconds": round(time.process_time() - began, 1), "seconds": round(time.perf_counter() - clock, 1),
               "commit": commit()}
        append_row(RESULTS, row)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="pennfudan")
    parser.add_argument("--views", default="night")
    parser.add_argument("--methods", default=" ".join(METHODS), help="separated by spaces")
    words = parser.parse_args()
    for each in words.sets.split(","):
        for way in words.views.split(","):
            with tempfile.TemporaryDirectory() as place:
                measure(each, way, words.methods.split(), Path(place))
