"""headstart evaluate: metrics with intervals, of a run's own test split or of other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    data: Annotated[str | None, typer.Argument(help="Other labelled data; default: the run's own test split.")] = None,
    format: Annotated[str | None, typer.Option(help="Data format; found out where not given.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split of DATA: train, val or test.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write metrics.json here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Evaluate RUN: all metrics with 95% intervals, calibrated probabilities."""
    from headstart.assessment import assess
    from headstart.cli.output import metrics_table, print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.files import read_json, write_json
    from headstart.runs import load_run

    loaded = load_run(run)
    if data is None:
        columns, plain = loaded.splits, read_json(loaded.directory / "metrics.json")
    else:
        columns, plain = assess(loaded, data, format=format, split=split, skip_bad=skip_bad, listen=terminal())
    if out:
        write_json(out, plain)
    if json:
        print_json({"run": str(run), "data": data or loaded.job.data, "metrics": plain})
        return
    print_table(metrics_table(columns, title=f"{run} on {data or loaded.job.data}"))
    say("all metrics: add --json" + (f"; written to {out}" if out else ""))
