"""headstart check: can these data carry a result?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.data.dataset import Dataset
    from headstart.data.findings import CheckReport, Finding

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def check(
    data: Annotated[str, typer.Argument(help="Folder, table or saved dataset.")],
    format: Annotated[str | None, typer.Option(help="Data format; found out where not given.")] = None,
    task: Annotated[str | None, typer.Option(
        help="classification, multilabel, detection, or semantic, for which outlines are drawn; found out where not "
        "given.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group must share a split: a column, a regular expression, or `duplicates`.")] = None,
    strict: Annotated[bool, typer.Option(
        "--strict", help="Any leak between given splits, and any image with two labels, is an error.")] = False,
    features: Annotated[bool | None, typer.Option(
        "--features/--no-features", show_default=False, help="Look for near copies by the features of the default "
        "backbone, too. Default: if its weights are here and there are at most 5000 images.")] = None,
    sheet: Annotated[Path | None, typer.Option(
        help="Draw the marked objects, or masks, of some images into this PNG or JPEG file.")] = None,
    input_size: Annotated[int, typer.Option(
        min=32, max=4096, help="Pixels of an image's longer side as the model will get it (detection): objects too "
        "small for it are told.")] = 320,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="A setting of the reader, such as reader.label=species. May be repeated.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="List every image of a finding, not the first five.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Check DATA: every image decoded, copies, leaks, classes, sizes. Exit code 3 where something is an error."""
    from headstart.api import check as check_data
    from headstart.cli.output import print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.data.groups import group_by as grouped
    from headstart.data.sheet import draw_sheet
    from headstart.errors import DataError
    from headstart.events import Note

    listen = terminal()
    dataset = read(data, format, task=task, settings=reader_settings(set_ or []), group_by=group_by)
    for note in (*dataset.notes, *([draw_sheet(dataset, sheet)] if sheet else [])):
        listen(Note(note))
    report = check_data(dataset, listen=listen, strict=strict, features=features, input_size=input_size)
    # `adapt` groups by the hash alone: what is told here is what it will do.
    by_hash = report.model_copy(update={"near_sets": report.hash_sets})
    groups = grouped(dataset, group_by, report=by_hash).notes[-1:] if group_by == "duplicates" else ()
    if json:
        print_json({"data": data, "notes": [*dataset.notes, *groups], "ignored": list(dataset.ignored),
                    **report.to_json()})
    else:
        print_table(verdicts(report))
        lines = [line for finding in report.findings for line in details(finding, shown=None if all_ else 5)]
        say(*groups, *lines, conclusion(report))
    if report.level == "error":
        raise typer.Exit(DataError.exit_code)


def read(data: str, format: str | None, *, task: str | None, settings: dict[str, Any],
         group_by: str | None) -> Dataset:
    """Return the data, grouped by a column or an expression; `duplicates` are known only after the check."""
    from headstart.data.groups import group_by as grouped
    from headstart.data.groups import load_grouped
    from headstart.data.load import load_data

    dataset = load_grouped(lambda values: load_data(data, format=format, task=task, settings=values, skip_bad=True),
                           settings, group_by)
    return grouped(dataset, group_by) if group_by and group_by != "duplicates" else dataset


def reader_settings(assignments: list[str]) -> dict[str, Any]:
    """Return the settings of the reader from `reader.key=value` lines. Raises ConfigError for any other setting."""
    from headstart.configuration import override
    from headstart.errors import ConfigError

    values = override({}, assignments)
    others = [name for name in values if name != "reader"]
    if others or not isinstance(values.get("reader", {}), dict):
        raise ConfigError(f'--set {", ".join(others) or "reader"}: `headstart check` takes settings of the reader '
                          "only, such as --set reader.label=species.")
    return dict(values.get("reader", {}))


def verdicts(report: CheckReport) -> Table:
    """Return a table with a row per finding: its level, its name, what was found."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("item", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for finding in report.findings:
        table.add_row(Text(finding.level, style=STYLES[finding.level]), Text(finding.kind), Text(finding.text))
    return table


def details(finding: Finding, *, shown: int | None) -> list[str]:
    """Return the images that a warning or an error is about, and what to do; nothing for `ok`."""
    from headstart.errors import listed

    if finding.level == "ok":
        return []
    items = listed(finding.items, shown=len(finding.items) if shown is None else shown).splitlines()
    return ["", f"{finding.kind} ({finding.level})", *items, *([f"  -> {finding.advice}"] if finding.advice else [])]


def conclusion(report: CheckReport) -> str:
    """Return the last line: how many errors and warnings there are."""
    counts = {level: sum(finding.level == level for finding in report.findings) for level in ("error", "warning")}
    said = [f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts.items() if count]
    return f"\n{report.level}: {' and '.join(said) or 'nothing to mend'}"
