"""Seeds: a benchmark of runs by method, seed and set, which goes on where it was stopped."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from side_by_side.results import append_row, put_table, read_rows

Row = dict[str, Any]


def run_or_table(doc: str | None, *, sets: Iterable[str], results: Path, marks: tuple[str, str],
                 measure: Callable[[str, str, int], list[Row]], table: Callable[[list[Row]], str],
                 told: Callable[[Row], str]) -> None:
    """Do what the command line asks for: measure what is missing, fine-tuned before from scratch, or write the table.

    doc: of the benchmark, for --help. marks: around the table in docs/benchmarks.md. measure: (set, method, seed) ->
    the rows of one run. told: what is printed of a row.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--sets", default=",".join(sets))
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if words.table:
        put_table(table(read_rows(results)), start=marks[0], end=marks[1])
        return
    began = time.monotonic()
    for method, seed, name in itertools.product(("finetune", "scratch"), map(int, words.seeds.split(",")),
                                                words.sets.split(",")):
        if any((row["set"], row["method"], row["seed"]) == (name, method, seed) for row in read_rows(results)):
            continue
        if time.monotonic() - began > words.budget:
            return
        for row in measure(name, method, seed):
            append_row(results, row)
            print(told(row), flush=True)
