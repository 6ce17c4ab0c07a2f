"""What the verbs share in what they print: one JSON object, tables of metrics, the listeners of a run."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.evaluation.intervals import Interval
    from headstart.events import Listen
    from headstart.runs import Run

HEADLINE = ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "average_precision", "log_loss", "ap", "ap50",
            "ap75", "mask_ap", "mask_ap50", "pq", "ar100", "miou", "mdice", "pixel_accuracy", "boundary_f1",
            "boundary_iou", "hd95", "assd")
"""The metrics that a table shows; the report and --json have all."""


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """Print a rich table on standard output."""
    from rich.console import Console

    Console(highlight=False).print(table)


def say(*lines: str) -> None:
    """Print lines on standard output."""
    sys.stdout.write("".join(line + "\n" for line in lines))


def flags(given: Iterable[tuple[str, object]]) -> str:
    """Return options as they are typed, a blank before each, to go on with in a `next:` line; None is left out."""
    return "".join(f" {flag} {shlex.quote(str(value))}" for flag, value in given if value is not None)


def assigned(settings: Iterable[str], *, but: Container[str] = ()) -> list[tuple[str, object]]:
    """Return `key=value` as options, without those whose key is in `but`."""
    return [("--set", item) for item in settings if item.partition("=")[0].strip() not in but]


def shown(interval: Interval) -> str:
    """Return the value with its interval below it; a dash where the metric is undefined."""
    if interval.value != interval.value:
        return "-"
    return f"{interval.value:.3f}\n[dim]{interval.low:.3f}-{interval.high:.3f}[/dim]"


def metrics_table(columns: Mapping[str, Mapping[str, Interval]], *, title: str) -> Table:
    """Return a table with a row per headline metric and a column per model or split."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", caption_justify="left",
                  caption="below each value its 95% interval")
    table.add_column("metric", no_wrap=True)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right")
    present = [name for name in HEADLINE if any(name in metrics for metrics in columns.values())]
    for metric in present:
        table.add_row(metric, *(shown(metrics[metric]) if metric in metrics else "-" for metrics in columns.values()))
    return table


def print_result(run: Run) -> None:
    """Print a finished run: the table against its baselines, and where things are."""
    final = run.job.method[-1].part_name
    target, proven = run.job.target is not None, "target" in run.splits
    test = "held-out test images of the source" if target else "held-out test images"
    for split, title in (("test", test), ("target", "labelled images of the target")):
        if split in run.splits:
            columns = {name: splits[split] for name, splits in run.baselines.items()}
            count = run.data["splits"][split]["count"]
            print_table(metrics_table({**columns, final: run.splits[split]}, title=f"{count} {title}"))
    if target and not proven:
        say("No label of the target is known: how good the model is there was not measured. The report says what to "
            "expect.", "")
    place = shlex.quote(str(run.directory))
    say(f"run     {run.directory}", f"report  {run.directory / 'report.html'}", "next:",
        f"  headstart predict {place} IMAGE...", f"  headstart evaluate {place} OTHER_DATA",
        f"  headstart verify {place}")


def listeners(tracking: str) -> Listen:
    """Return the terminal and, unless `tracking` is `off`, MLflow as one listener."""
    from headstart.cli.terminal import terminal
    from headstart.tracking import tracked

    return tracked(terminal(), tracking)


def run_json(run: Run) -> dict[str, Any]:
    """Return what `--json` prints of a finished run."""
    from headstart.files import read_json

    return {"run": str(run.directory), "status": run.status, "seconds": run.record["seconds"],
            "report": str(run.directory / "report.html"), "metrics": read_json(run.directory / "metrics.json"),
            "baselines": read_json(run.directory / "baselines.json"),
            **({"folds": run.folds} if run.job.folds else {})}
