"""How far to trust `headstart rank`: every score and every static list against the truth of fine-tuning.

    python benchmarks/selection.py truth [--budget 3600] [--part 0/2]    fine-tune every candidate (hours)
    python benchmarks/selection.py scores                                all scores of every candidate (minutes)
    python benchmarks/selection.py table                                 write the tables into docs/benchmarks.md

Candidates, sets and course stand in selecting/. A cell is a candidate on a set with a seed; its result is appended at
once to results/selection_truth.jsonl, so that the benchmark goes on where it was stopped. `--part 1/2` does every
second cell, for two processes side by side. Sets whose files are not there are left out, with a word.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from selecting import scored, truth
from selecting.table import tables
from side_by_side.results import append_row, put_table, read_rows

RESULTS = Path(__file__).parent / "results"
START, END = "<!-- selection table -->\n", "<!-- end of the selection table -->\n"
TRUTH, SCORES = RESULTS / "selection_truth.jsonl", RESULTS / "selection_scores.jsonl"


def run_truth(budget: float, part: str, threads: int) -> None:
    """Measure the cells that have no row yet, until the budget is spent."""
    began = time.monotonic()
    mine, parts = map(int, part.split("/"))
    cells = [cell for number, cell in enumerate(truth.cells()) if number % parts == mine]
    left = set(truth.todo(read_rows(TRUTH)))
    for cell in (cell for cell in cells if cell in left):
        if time.monotonic() - began > budget:
            return
        row = truth.measure(cell, threads)
        append_row(TRUTH, row)
        print(f"{cell}: probe {row['probe']:.3f}, fine-tuned {row['accuracy']:.3f}, {row['cpu_seconds']:.0f} CPU s",
              flush=True)


def run_scores(budget: float) -> None:
    """Compute the scores of the sets and seeds that have none yet, until the budget is spent."""
    began = time.monotonic()
    for name, seed in scored.todo(read_rows(SCORES)):
        if time.monotonic() - began > budget:
            return
        for row in list(scored.measure(name, seed)):
            append_row(SCORES, row)
        print(f"{name} {seed}: {row['rank_cpu_seconds']:.0f} CPU s", flush=True)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "scores", "table"])
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    if words.what == "truth":
        run_truth(words.budget, words.part, words.threads)
    elif words.what == "scores":
        run_scores(words.budget)
    else:
        put_table(tables(read_rows(TRUTH), read_rows(SCORES)), start=START, end=END)


if __name__ == "__main__":
    main()
