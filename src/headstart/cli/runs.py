"""headstart runs: list what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT = Path("runs")
MAIN = ("accuracy", "average_precision", "ap", "miou")
"""The metric that stands for a run, by its task."""


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds runs.")] = DEFAULT,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the runs in FOLDER, oldest first."""
    from rich import box
    from rich.table import Table

    from headstart.cli.output import print_json, print_table, say
    from headstart.errors import ConfigError
    from headstart.runs import list_runs

    if not folder.exists() and folder != DEFAULT:
        raise ConfigError(f"{folder}: no such folder. Name one that holds runs.")
    found = list_runs(folder)
    if json:
        print_json({"runs": [{"run": str(run), "status": run.status, **{
            key: run.record[key] for key in ("method", "data", "seconds", "headline")}} for run in found]})
        return
    if not found:
        say(f"no runs in {folder}/; `headstart adapt DATA` makes one")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("run", "status", "method", "data", "seconds", "held-out result"):
        table.add_column(column, overflow="fold", no_wrap=column != "run")
    for run in found:
        record = run.record
        found_metrics = record["headline"]
        headline = next(((name, found_metrics[name]["value"]) for name in MAIN if name in found_metrics), None)
        told = f"{headline[0]} {headline[1]:.3f}" if headline and headline[1] is not None else "-"
        there = "" if run.status != "finished" else " (target)" if "target" in run.splits else \
            " (source)" if run.job.target else ""
        table.add_row(str(run), run.status, record["method"], Path(record["data"]).name, f"{record['seconds']:.0f}",
                      told + there)
    print_table(table)
