"""Ants and bees on two cores: accuracy on the held-out photos, and the wall time of the whole command.

    python benchmarks/bench_hymenoptera.py [--seeds 0 1 2]

The data's own `val` proves (docs/decisions/0006-val-folder-becomes-test.md): nothing is chosen on it. The backbone was
chosen by cross-validation inside `train` (docs/benchmarks.md). Every run is the command as a user types it, in a new
process with an empty cache, one after the other; the clock runs from the start of the process to its end, report
included. The result goes to benchmarks/results/hymenoptera.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from side_by_side.measure import commit
from side_by_side.sets import DATA

RESULTS = Path(__file__).parent / "results" / "hymenoptera.json"
ACCURACY, SECONDS = 0.94, 120.0
"""The figures to reach."""
COMMANDS = {
    "probe": "--backbone efficientnet_lite1 --method probe",
    "finetune": "--backbone efficientnet_lite1 --method finetune --set method.finetune.augment=standard"
                " --set method.finetune.epochs=4"}


def run_once(words: str, seed: int, threads: int) -> dict[str, Any]:
    """Return accuracy on val and on the held-out photos, and the seconds of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-c", "from headstart.cli import main; main()", "adapt", str(DATA / "hymenoptera"),
                   *words.split(), "--seed", str(seed), "--out", str(out)]
        environment = {**os.environ, "HEADSTART_CACHE": str(Path(folder) / "cache"), "OMP_NUM_THREADS": str(threads)}
        began = time.perf_counter()
        subprocess.run(command, check=True, env=environment, cwd=folder, stderr=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        metrics = json.loads((out / "metrics.json").read_text())
    test = metrics["test"]["accuracy"]
    return {"seed": seed, "seconds": round(seconds, 1), "val_accuracy": round(metrics["val"]["accuracy"]["value"], 4),
            "accuracy": round(test["value"], 4), "low": round(test["low"], 4), "high": round(test["high"], 4)}


def main() -> None:
    """Run every command with every seed, write the result, and say whether the figures are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    results = {}
    for name, words in COMMANDS.items():
        runs = [run_once(words, seed, options.threads) for seed in options.seeds]
        accuracy = statistics.fmean(run["accuracy"] for run in runs)
        slowest = max(run["seconds"] for run in runs)
        reached = accuracy >= ACCURACY and slowest <= SECONDS
        results[name] = {"command": f"headstart adapt ../shared/data/hymenoptera {words}", "runs": runs}
        print(f"{name}: accuracy {accuracy:.3f} (mean of {len(runs)}), slowest {slowest:.0f} s: "
              + ("reached" if reached else "NOT reached"))
        for run in runs:
            print("  ", run)
    RESULTS.write_text(json.dumps({
        "command": " ".join(["python", "benchmarks/bench_hymenoptera.py", *sys.argv[1:]]), "commit": commit(),
        "date": datetime.now(UTC).isoformat("T", "minutes"), "threads": options.threads, "load_before": round(load, 1),
        "torch": str(torch.__version__), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
