"""Segmentation of another domain: what fda, mean_teacher and adabn add to a model of the source, CamVid at dusk.

    python benchmarks/bench_mask_domains.py [--seeds 0,1,2] [--methods "finetune;finetune,fda"] [--budget 3600]
    python benchmarks/bench_mask_domains.py --table                  write the table into docs/benchmarks.md
    python benchmarks/bench_mask_domains.py --copy FOLDER            only write `city` and `dusk` there

`city`, the source, is CamVid's train and validation part; `dusk`, the target, its test part, darker, bluer and noisy,
whose masks prove and do nothing else. The guard is off while measuring, and applied afterwards from the validators'
recorded scores. Results are appended to results/mask_domains.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from side_by_side.measure import commit
from side_by_side.results import append_row, put_table, read_rows

import headstart
from headstart.domains.guarding import PLACES

CAMVID = Path(__file__).parents[2] / "shared" / "data" / "camvid"
RESULTS = Path(__file__).parent / "results" / "mask_domains.jsonl"
START, END = "<!-- mask domains table -->\n", "<!-- end of the mask domains table -->\n"
CLASSES = "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,cyclist,void"
DUSK, NOISE = np.array([0.2, 0.3, 0.55]), 20.0
"""Factors on red, green and blue; standard deviation of what is added to each of them, of 255."""
BACKBONE, SIZE = "efficientnet_lite0", 160
PROBE = {"method": "probe", "epochs": 2}
SOURCE = "finetune"
METHODS: dict[str, dict[str, Any]] = {
    "finetune": {"method": "finetune"}, "fda": {"method": "fda", "guard": "none"},
    "mean_teacher": {"method": "mean_teacher", "guard": "none"},
    "finetune_norms": {"method": "finetune", "batch_norm": "train"}, "adabn": {"method": "adabn", "guard": "none"}}
NAMES = (SOURCE, "finetune,finetune", "finetune,fda", "finetune,mean_teacher", "finetune,fda,mean_teacher",
         "finetune_norms", "finetune_norms,adabn")
"""Chains of methods. Fine-tuned twice is what as many steps give without the target."""


def copy(folder: Path) -> None:
    """Write the source and the target."""
    for part in ("train", "trainannot", "val", "valannot"):
        shutil.copytree(CAMVID / part, folder / "city" / part)
    (folder / "dusk" / "images").mkdir(parents=True)
    shutil.copytree(CAMVID / "testannot", folder / "dusk" / "masks")
    for number, path in enumerate(sorted((CAMVID / "test").iterdir())):
        pixels = np.asarray(Image.open(path).convert("RGB")) * DUSK
        noisy = pixels + np.random.default_rng(number).normal(0, NOISE, pixels.shape)
        Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(folder / "dusk" / "images" / path.name)


def measure(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return the row of a chain of methods. folder: of `copy`; each run stays there, for others to start from it."""
    first, _, last = name.rpartition(",")
    start: dict[str, Any] = {"backbone": BACKBONE, "image_size": SIZE, "method": [PROBE, METHODS[last]]}
    if first:
        begun = folder / f"{first}-{seed}"
        if not begun.exists():
            measure(first, seed, folder)
        start = {"init_from": begun, "method": [METHODS[last]]}
    began, clock = time.process_time(), time.perf_counter()
    run = headstart.adapt(folder / "city", target=folder / "dusk", format="masks", reader={"classes": CLASSES},
                          seed=seed, tracking="off", device="cpu", allow=["leak_near"],
                          out=folder / f"{name}-{seed}", **start)
    spent, seconds = time.process_time() - began, time.perf_counter() - clock

    def read(of: str) -> Any:
        path = run.directory / of
        return json.loads(path.read_text()) if path.exists() else []

    return {"method": name, "seed": seed, "target": run.splits["target"]["miou"].to_json(),
            "source": run.splits["test"]["miou"].to_json(),
            "classes": {label: found["iou"]["value"]
                        for label, found in read("details.json")["target"]["per_class"].items()},
            "guard": [row["scores"][PLACES] for row in read("validators.json") if row["epoch"] in (0, None)],
            "cpu_seconds": round(spent, 1), "seconds": round(seconds, 1), "image_size": SIZE, "commit": commit()}


def table(found: list[dict[str, Any]]) -> str:
    """Return what each chain reaches on the target, means over the seeds, and what the guard says of its last step."""
    bases = {row["seed"]: row["target"]["value"] for row in found if row["method"] == SOURCE}
    lines = [f"| method | seeds | mean IoU on the target | 95% interval, first seed | over {SOURCE} | worst | mean IoU "
             "on the source's test | the guard would keep the last step | CPU minutes of that |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name in NAMES:
        rows = sorted((row for row in found if row["method"] == name), key=lambda row: int(row["seed"]))
        if not rows:
            continue
        gains = [row["target"]["value"] - bases[row["seed"]] for row in rows]
        kept = [row["guard"][-1] > row["guard"][0] for row in rows if row["guard"]]
        lines.append(
            f"| {name} | {len(rows)} | {np.mean([row['target']['value'] for row in rows]):.3f} | "
            f"{rows[0]['target']['low']:.3f} to {rows[0]['target']['high']:.3f} | "
            + ("| | " if name == SOURCE else f"{np.mean(gains):+.3f} | {min(gains):+.3f} | ")
            + f"{np.mean([row['source']['value'] for row in rows]):.3f} | "
            + (f"{sum(kept)} of {len(kept)} | " if kept else "| ")
            + f"{np.mean([row['cpu_seconds'] for row in rows]) / 60:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default=";".join(NAMES), help="chains, with ; between them")
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--copy", type=Path, metavar="FOLDER")
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if words.table:
        put_table(table(read_rows(RESULTS)), start=START, end=END)
        return
    if words.copy:
        copy(words.copy)
        return
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        for seed, name in itertools.product(map(int, words.seeds.split(",")), words.methods.split(";")):
            if any((row["method"], row["seed"]) == (name, seed) for row in read_rows(RESULTS)):
                continue
            if time.monotonic() - began > words.budget:
                return
            row = measure(name, seed, Path(folder))
            append_row(RESULTS, row)
            print(f"{name} {seed}: {row['target']['value']:.3f}, {row['cpu_seconds']:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
