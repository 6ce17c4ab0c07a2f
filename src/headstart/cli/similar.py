"""headstart similar: which images look like this one?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.similar import Neighbour


def similar(
    run_or_data: Annotated[str, typer.Argument(help="Folder of a finished run; or data: a folder or table.")],
    images: Annotated[list[Path], typer.Argument(help="Images to look for, or folders of images.")],
    count: Annotated[int, typer.Option("--count", "-k", help="Neighbours to tell of each image.", min=1)] = 5,
    split: Annotated[str | None, typer.Option(
        help="Where to look: train, val, test or all. Default: train of a run, all of data.")] = None,
    backbone: Annotated[str | None, typer.Option(
        help="Pretrained model whose features are compared, for data. Default auto. A run takes its own.")] = None,
    allow_licenses: Annotated[str | None, typer.Option(
        help="Licences, with commas, of weights that may be used; `any` allows all. Default: permissive ones.")] = None,
    format: Annotated[str | None, typer.Option(help="Data format; found out where not given.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Setting of how data are read and seen as key=value, such as image_size=128. May be "
                      "repeated.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images of data that can't be read.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write a page with the pictures here: FILE.html.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Show the images of a run's training data, or of any data, that are most like each IMAGE."""
    from headstart.api import find
    from headstart.cli.output import print_json, print_table, say
    from headstart.cli.terminal import printable, terminal
    from headstart.errors import ConfigError
    from headstart.files import refuse_taken
    from headstart.selection.similar_page import verdict, write_similar_page

    if out and out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: what is written is a page; use an ending of .html.")
    refuse_taken(out)
    found = find(run_or_data, images, count=count, split=split, backbone=backbone, format=format,
                 allow_licenses=allow_licenses or None, skip_bad=skip_bad or None,
                 assignments=set_ or [], listen=terminal())
    if out:
        write_similar_page(found, out)
    if json:
        print_json({**found.to_json(), "page": str(out) if out else None})
        return
    for image, neighbours in zip(found.images, found.neighbours, strict=True):
        print_table(table(printable(str(image)), neighbours))
        said = verdict(neighbours)
        say(*([printable(said), ""] if said else []))
    say(f"cosine of the features of {found.backbone} among {len(found.searched)} images of {found.origin}",
        *([f"page    {out}"] if out else []))


def table(title: str, neighbours: list[Neighbour]) -> Table:
    """Return the neighbours of one image, the nearest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from headstart.cli.terminal import printable

    found = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
    found.add_column("rank", justify="right", no_wrap=True)
    found.add_column("image", overflow="fold")
    found.add_column("class", overflow="fold")
    found.add_column("split", no_wrap=True)
    found.add_column("cosine", justify="right", no_wrap=True)
    for rank, item in enumerate(neighbours, start=1):
        found.add_row(str(rank), Text(printable(item.id) + (" (the same image)" if item.same else "")),
                      Text(printable(" + ".join(item.labels)) or "-"), item.split or "-", f"{item.cosine:.3f}")
    return found
