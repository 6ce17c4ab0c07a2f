"""headstart mismatch: how far do these images lie from those?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.mismatch import Comparison


def mismatch(
    run_or_data: Annotated[str, typer.Argument(
        help="Data: a folder or table; or a finished run, with whose training images the others are compared.")],
    other: Annotated[str | None, typer.Argument(
        help="Other data, or a folder of images without labels. Default: the splits of the first, against each other "
             "and against the images of the backbone's pretraining.")] = None,
    backbone: Annotated[str | None, typer.Option(
        help="Pretrained model in whose features is compared. Default auto. A run takes its own.")] = None,
    images: Annotated[int | None, typer.Option(
        help="Images of each set to look at, by chance. Default 2000.", min=1)] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting of the job as key=value, such as image_size=128. May be repeated.")] = None,
    skip_bad: Annotated[bool | None, typer.Option(
        "--skip-bad", help="Leave out images that can't be read.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of everything random. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(
        help="New folder for page and record. Default mismatches/DATA-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Say how two sets of images differ, and what accuracy to expect of a model of the first on the second.

    No label of the second set is used for that; where there are some, what they say is shown beside it.
    """
    from headstart.api import mismatch as compared
    from headstart.cli.output import assigned, flags, print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.selection.apart import MOST
    from headstart.selection.mismatch import PAGE
    from headstart.selection.mismatch_words import sentences

    found = compared(run_or_data, other, backbone=backbone, images=MOST if images is None else images, out=out,
                     assignments=set_ or [], listen=terminal(), seed=seed, skip_bad=skip_bad)
    if json:
        print_json({"mismatch": str(found.directory), **found.to_json()})
        return
    for one in found.comparisons:
        print_table(distances(one))
        print_table(appearance(one))
    # How the data are read goes on; the rest `next` names itself.
    reading = flags(assigned(set_ or [], but=("image_size", "backbone", "seed"))) + " --skip-bad" * bool(skip_bad)
    say(*sentences(found), "", f"mismatch {found.directory}",
        f"page     {found.directory}/{PAGE}", *(["next:", f"  {found.next}{reading}"] if found.next else []))


def distances(one: Comparison) -> Table:
    """Return a row for each distance."""
    from headstart.report import words

    made = _table(f"{one.first} and {one.second}: {one.level}",
                  ("distance", "value", "95%, or p", "halves", "in classes"))
    made.caption = f"halves: of {one.first}, by chance; what is no larger than these is no mismatch"
    made.caption_justify = "left"
    for name, gap in one.apart.gaps.items():
        sure = f"{gap.whole.low:.2f} to {gap.whole.high:.2f}" if gap.whole.low is not None else \
            f"p = {gap.whole.p_value:.3f}" if gap.whole.p_value is not None else "-"
        made.add_row(name, words.short(gap.whole.value), sure,
                     f"{words.short(min(gap.halves))} to {words.short(max(gap.halves))}" if gap.halves else "-",
                     words.short(gap.within))
    return made


def appearance(one: Comparison) -> Table:
    """Return a row for each property of the pictures."""
    from headstart.report import words
    from headstart.selection.appearance import MEASURES

    made = _table("", ("to the eye", one.first, one.second, "effect"))
    made.add_column("")
    for item in one.appearance:
        made.add_row(MEASURES[item.name].label, words.short(item.first), words.short(item.second),
                     f"{item.effect:+.2f}", item.words if item.tells else "")
    return made


def _table(title: str, columns: tuple[str, ...]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from headstart.cli.terminal import printable

    made = Table(box=box.SIMPLE_HEAD, title=Text(printable(title)) if title else None, title_justify="left",
                 pad_edge=False)
    for place, name in enumerate(columns):
        made.add_column(Text(printable(name)), justify="right" if place else "left", no_wrap=not place, overflow="fold")
    return made
