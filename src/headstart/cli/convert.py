"""headstart convert: the same marked objects, or masks, in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def convert(
    data: Annotated[str, typer.Argument(help="Data with marked objects or masks: folder, file or table.")],
    to: Annotated[str, typer.Option(help="Format to write: coco, voc, yolo, labelme or masks.")],
    out: Annotated[Path, typer.Option(help="New folder for the data.")],
    images: Annotated[str, typer.Option(help="copy; or link, for hard links, which are the same files.")] = "copy",
    format: Annotated[str | None, typer.Option(help="Format of DATA; found out where not given.")] = None,
    task: Annotated[str | None, typer.Option(
        help="As what DATA are read: detection (objects) or semantic (the class of each pixel). Default: what the new "
        "format holds.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="A setting of the reader or writer, such as reader.origin=0 or writer.decimals=0. May be "
        "repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Convert DATA to another format, with its images; says what that can't hold. Your files are never changed."""
    from headstart.api import convert as convert_data
    from headstart.cli.output import print_json, say
    from headstart.cli.terminal import terminal
    from headstart.events import Note

    settings = _settings(set_ or [])
    listen = terminal()
    written = convert_data(data, to=to, out=out, images=images, format=format, task=task,
                           reader=settings.get("reader", {}), writer=settings.get("writer", {}), listen=listen)
    if json:
        print_json({"data": data, **written.to_json()})
        return
    for fact in written.facts:
        listen(Note(fact))
    for note in written.notes:
        listen(Note(note, "warning"))
    what = f"{written.objects} objects" if written.objects or written.format != "masks" else "masks"
    say(f"{written.images} images with {what}, as {written.format}: {written.directory}",
        *([] if written.notes else ["nothing was lost"]))


def _settings(assignments: list[str]) -> dict[str, Any]:
    """Return the settings of reader and writer. Raises ConfigError for any other setting."""
    from headstart.configuration import override
    from headstart.errors import ConfigError

    values = override({}, assignments)
    others = [name for name, value in values.items() if name not in ("reader", "writer") or not isinstance(value, dict)]
    if others:
        raise ConfigError(f"--set {', '.join(others)}: `headstart convert` takes settings of the reader and the writer "
                          "only, such as --set reader.origin=0.")
    return values
