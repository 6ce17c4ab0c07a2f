"""headstart advise: which method suits these data, and what may be expected of it?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.advice import Advice


def advise(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    backbone: Annotated[str | None, typer.Option(
        help="The pretrained model to advise on. Default: the first of a ranking.")] = None,
    limit_time: Annotated[str | None, typer.Option(
        help="The time that advice and training together may take: 90, 90s, 15m or 2h.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting of the job as key=value, such as image_size=128. May be repeated.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of everything random. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the advice. Default advice/DATA-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Advise on DATA: gather cheap evidence, and say what to do, why, and what to expect.

    Only images of train and validation are read, never those of test. `adapt --method auto` follows it.
    """
    from headstart.api import advise as advised
    from headstart.cli.adapt import seconds
    from headstart.cli.output import assigned, flags, print_json, print_table, say
    from headstart.cli.terminal import terminal
    from headstart.selection.advice import FOLDER
    from headstart.selection.advice_page import sentences

    found = advised(data, backbone=backbone, limit_time=seconds(limit_time) if limit_time else None, config=config,
                    assignments=set_ or [], group_by=group_by, seed=seed, out=out, listen=terminal())
    if json:
        print_json({"advice": str(found.directory), "settings": found.settings(), **found.to_json()})
        return
    # What decided the advice decides whether `adapt` finds it in ./advice; of one that lies elsewhere all is typed.
    elsewhere = found.directory is not None and found.directory.resolve().parent != Path(FOLDER).resolve()
    decided = settled(found) if elsewhere else [("--method", "auto"), ("--backbone", backbone)]
    words = [*decided, ("--limit-time", limit_time), ("--config", config), ("--group-by", group_by),
             ("--seed", seed),
             *assigned(set_ or [], but=("method", "image_size", "backbone") if elsewhere else ("method",))]
    print_table(facts_table(found))
    print_table(options_table(found))
    say(*sentences(found), "", f"advice  {found.directory}", f"page    {found.directory}/advice.html", "next:",
        f"  headstart adapt {shlex.quote(found.data)}{flags(words)}")


def settled(advice: Advice) -> list[tuple[str, object]]:
    """Return what the advice decides as options of `adapt`."""
    size = [] if advice.image_size is None else [("--set", f"image_size={advice.image_size}")]
    chain = advice.best.settings
    return [("--backbone", advice.backbone), *size, ("--method", ",".join(str(method["method"]) for method in chain)),
            *(("--set", f"method.{method['method']}.{key}={value}") for method in chain
              for key, value in method.items() if key != "method")]


def facts_table(advice: Advice) -> Table:
    """Return the evidence, a row for each fact."""
    from rich import box
    from rich.table import Table

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="evidence", title_justify="left")
    found.add_column("looked at", overflow="fold", ratio=2)
    found.add_column("found", overflow="fold", ratio=4)
    found.add_column("which means", overflow="fold", ratio=3)
    for fact in advice.facts:
        found.add_row(fact.what, fact.found, fact.meaning)
    return found


def options_table(advice: Advice) -> Table:
    """Return the ways that are open, the advised one first."""
    from rich import box
    from rich.table import Table

    from headstart.cli.terminal import duration

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="ways, best first", title_justify="left")
    found.add_column("way", overflow="fold", ratio=3)
    found.add_column("expected", justify="right", no_wrap=True)
    found.add_column("time", justify="right", no_wrap=True)
    found.add_column("why", overflow="fold", ratio=5)
    for option in advice.options:
        value = "-" if option.value is None else f"{option.value:.3f}\n[dim]{option.low:.3f}-{option.high:.3f}[/dim]"
        late = "" if option.fits else "\n[dim]too long[/dim]"
        found.add_row(option.words, value, duration(option.seconds) + late, option.reason)
    return found
