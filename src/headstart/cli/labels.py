"""headstart labels: which given labels are likely wrong?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.label_errors import LabelErrors

SHOWN = 20
"""Likely errors that the terminal shows; the page, the table and --json have more."""


def labels(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Pretrained model; see `headstart models`.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting of the job as key=value, such as image_size=128. May be repeated.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of the folds. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the result. Default labels/DATA-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Find images of DATA whose label is likely wrong, in all splits; write a page and a table to correct.

    Your files are never changed.
    """
    from headstart.api import find_label_errors
    from headstart.cli.output import assigned, flags, print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.selection.label_errors import PAGE, TABLE
    from headstart.selection.labels_page import SUSPICIONS, agreement, caution, confused, counted

    found = find_label_errors(data, backbone=backbone, config=config, assignments=set_ or [], group_by=group_by,
                              seed=seed, out=out, listen=terminal())
    if json:
        print_json({"labels": str(found.directory), **found.to_json()})
        return
    if found.errors:
        print_table(table(found))
    assert found.directory is not None, "it was written"
    settings = flags([*seen(data, backbone, config, set_), *assigned(found.table_settings)])
    lead = caution(found)
    say(*([lead] if lead else []), counted(found), *(f"  {confused(pair)}" for pair in found.pairs), agreement(found),
        *([SUSPICIONS] if found.errors else []), f"page    {found.directory / PAGE}",
        f"table   {found.directory / TABLE}", "next: look at the page, correct the column of labels in the table, then",
        f"  headstart adapt {shlex.quote(str(found.directory / TABLE))}{settings}")


def seen(data: str | None, backbone: str | None, config: Path | None,
         assignments: list[str] | None) -> list[tuple[str, object]]:
    """Return how the images were seen, as options: it goes on. How the data were read does not: the table that is
    corrected is another form of them."""
    from headstart.job import Job, build_job

    job = build_job({"data": data, "backbone": backbone}, config=config, assignments=assignments)
    words = [("--backbone", "backbone"), ("--allow-licenses", "allow_licenses")]
    given = [(flag, getattr(job, key)) for flag, key in words if getattr(job, key) != Job.model_fields[key].default]
    given += [("--set", f"{key}={getattr(job, key)}") for key in ("image_size", "fit", "channels")
              if getattr(job, key) != Job.model_fields[key].default]
    return [(flag, value if isinstance(value, str) else ",".join(value)) for flag, value in given]


def table(found: LabelErrors) -> Table:
    """Return the most suspicious images, the worst first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from headstart.selection.labels_page import likely, shown

    rest = len(found.errors) - SHOWN
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify="left",
                 caption=f"{rest} more stand on the page" if rest > 0 else None)
    for name in ("rank", "image", "given", "", "suggested", "", "split"):
        made.add_column(name, justify="right" if name in ("rank", "") else "left", overflow="fold")
    for error in found.errors[:SHOWN]:
        made.add_row(str(error.rank), Text(error.image), Text(shown(error.given)),
                     Text(likely(error, error.given, f"{error.given_probability:.2f}")), Text(shown(error.suggested)),
                     Text(likely(error, error.suggested, f"{error.suggested_probability:.2f}")), error.split)
    return made
