"""All methods side by side on every image set: accuracy, seconds, parameters trained, peak memory.

    python benchmarks/bench_methods.py [--budget 3600]      run what is missing, the most telling cells first
    python benchmarks/bench_methods.py --plan               say what would run, and how long it would take
    python benchmarks/bench_methods.py --cell digits:10:finetune:0     one cell, again, to standard output
    python benchmarks/bench_methods.py --table              write the tables into docs/benchmarks.md

A cell is SET:IMAGES A CLASS:METHOD:SEED; the words are in side_by_side/sets.py and side_by_side/methods.py. Each runs
in a process of its own, so that its peak memory is its own, and its result is appended at once to
results/methods.jsonl: the benchmark can be stopped at any moment, and goes on where it was. Written images and
features lie in the cache folder ($HEADSTART_CACHE). USPS needs h5py to be read once: pip install h5py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from side_by_side import table
from side_by_side.grid import Cell, grid, todo
from side_by_side.measure import measure
from side_by_side.results import append_row, read_rows
from side_by_side.sets import DATA, SETS, ImageSet, written

from headstart.errors import HeadstartError

RESULTS = Path(__file__).parent / "results" / "methods.jsonl"


def available(names: Iterable[str]) -> list[ImageSet]:
    """Return the sets that can be read here; say why others can't."""
    found = []
    for name in names:
        image_set = SETS[name]
        if image_set.package and not importlib.util.find_spec(image_set.package) and not (written() / name).exists():
            print(f"{name}: left out, {image_set.package} is not installed (pip install {image_set.package})")
        elif image_set.place and not (DATA / image_set.place).exists():
            print(f"{name}: left out, {DATA / image_set.place} is not there")
        else:
            found.append(image_set)
    return found


def in_own_process(cell: Cell, threads: int) -> dict[str, Any]:
    """Return the row of a cell, or {"error": text}. The process is a fork of one that has only imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["side_by_side.measure"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=answer, args=(theirs, cell, threads))
    process.start()
    theirs.close()
    try:
        return dict(ours.recv())
    except EOFError:
        process.join()
        return {"error": f"the process ended with {process.exitcode}"}
    finally:
        if sys.exc_info()[0] is not None:
            process.kill()  # stopped from outside: a training would go on to its next checkpoint, alone
        process.join()


def answer(pipe: Connection, cell: Cell, threads: int) -> None:
    """Send the row of a cell through the pipe."""
    try:
        pipe.send(measure(cell, threads))
    except HeadstartError as error:
        pipe.send({"error": str(error)})


def run(cells: list[Cell], threads: int, budget: float) -> None:
    """Run the cells one after the other, each result written at once, until the budget is spent."""
    began = time.monotonic()
    refused: set[str] = set()
    for number, cell in enumerate(cells, 1):
        if time.monotonic() - began > budget:
            print(f"{len(cells) - number + 1} cells are left for another time")
            return
        if cell.method in refused:
            continue
        row = in_own_process(cell, threads)
        if "error" in row:
            print(f"{cell}: {row['error'].splitlines()[0]}", flush=True)
            if "unknown method" in row["error"]:
                refused.add(cell.method)
            continue
        append_row(RESULTS, row)
        print(f"{number}/{len(cells)} {cell}: {row['accuracy']:.3f} ({row['low']:.3f}-{row['high']:.3f}), "
              f"{row['seconds']:.1f} s of {row['wall_seconds']:.1f} (thought {cell.seconds():.0f}), "
              f"{row['peak_mb']} MB", flush=True)


def plan(cells: list[Cell]) -> None:
    """Print the cells to run, summed up by set and number of labels, in the order in which they run."""
    total = 0.0
    for (name, images), group in groupby(cells, key=lambda cell: (cell.set, cell.images)):
        members = list(group)
        seconds = sum(cell.seconds() for cell in members)
        total += seconds
        seeds = sorted({cell.seed for cell in members})
        print(f"{name:12} {images or 'all':>4}  seeds {','.join(map(str, seeds)):6} {seconds:6.0f} s "
              f"{total / 60:6.1f} min  {', '.join(dict.fromkeys(cell.method for cell in members))}")
    print(f"{len(cells)} cells, about {total / 60:.0f} minutes on two cores")


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=600, metavar="SECONDS", help="start no cell after this time")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--images", nargs="+", help="only these numbers of images a class, such as 10 all")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--plan", action="store_true", help="run nothing, print the grid and its price")
    parser.add_argument("--cell", help="run one cell and print its row")
    parser.add_argument("--table", action="store_true", help="write the tables and judge the figures")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.cell:
        print(json.dumps(measure(Cell.parse(options.cell), options.threads), indent=2))
        return
    if options.table:
        print("\n".join(table.write(read_rows(RESULTS))))
        return
    cells = [cell for cell in grid(available(options.sets))
             if (not options.methods or cell.method in options.methods)
             and (not options.seeds or cell.seed in options.seeds)
             and (not options.images or (str(cell.images) if cell.images else "all") in options.images)]
    missing = todo(cells, read_rows(RESULTS))
    if options.plan:
        plan(missing)
    else:
        run(missing, options.threads, options.budget)


if __name__ == "__main__":
    main()
