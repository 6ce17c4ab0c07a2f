"""headstart forecast: what would more labels bring?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.forecasted import Forecasted


def forecast(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    target: Annotated[list[float] | None, typer.Option(
        help="Accuracy to find the number of labels for, such as 0.95. May be repeated.")] = None,
    backbone: Annotated[str | None, typer.Option(
        help="Pretrained model; see `headstart models`. Default auto: the first of a ranking.")] = None,
    method: Annotated[str, typer.Option(help="probe (seconds), or finetune, which trains for each point.")] = "probe",
    limit_time: Annotated[str | None, typer.Option(
        help="Cut the curve of a probe short after this time, 90, 90s, 15m or 2h, but never below one round of three "
             "sizes; end finetune with an error.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting of the job as key=value, such as image_size=128. May be repeated.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of everything random. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the forecast. Default forecasts/DATA-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Forecast the accuracy on DATA with 2, 4 and 10 times the labels, from the learning curve so far.

    Only images of train and validation are read, never those of test.
    """
    from headstart.api import forecast as forecasted
    from headstart.cli.adapt import seconds
    from headstart.cli.output import print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.report.forecast import sentences

    found = forecasted(data, targets=target or (), method=method, backbone=backbone, config=config,
                       limit_time=seconds(limit_time) if limit_time else None, assignments=set_ or [],
                       group_by=group_by, seed=seed, out=out, listen=terminal())
    if json:
        print_json({"forecast": str(found.directory), **found.to_json()})
        return
    print_table(table(found))
    say(*sentences(found.record), "", f"forecast {found.directory}", f"page     {found.directory}/forecast.html")


def table(found: Forecasted) -> Table:
    """Return the measured points and the forecast, a row for each."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption="with 80% intervals", caption_justify="left")
    for name in ("images to learn from", "accuracy", "low", "high", ""):
        made.add_column(name, justify="left" if not name else "right", no_wrap=True)
    rows = [(point, "measured") for point in found.record.measured]
    rows += [(point, f"forecast, {factor} times") for factor, point in found.record.ahead.items()]
    for point, kind in rows:
        made.add_row(f"{point.images:.0f}", f"{point.value:.3f}", f"{point.low:.3f}", f"{point.high:.3f}", kind)
    return made
