"""headstart rank: which pretrained model suits these data best?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.selection.ranking import Ranking

SHOWN = 5
"""Candidates whose other scores fit beside each other."""


def rank(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    backbones: Annotated[str | None, typer.Option(
        help="Models to try, with commas. Default: those whose weights are here.")] = None,
    family: Annotated[str | None, typer.Option(help="Only of one family, such as resnet.")] = None,
    max_params: Annotated[str | None, typer.Option(help="At most so many parameters, such as 25M.")] = None,
    license: Annotated[str | None, typer.Option(help="Only under these licences, with commas.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of one source: packaged, timm, torchvision.")] = None,
    available: Annotated[bool, typer.Option("--available", help="Only those usable without a download.")] = False,
    image_size: Annotated[str | None, typer.Option(
        help="Input sizes to try each model at, with commas, such as 128,224. Default: the model's own.")] = None,
    score: Annotated[str, typer.Option(help="What decides: default, or a name such as logme.")] = "default",
    scores: Annotated[str | None, typer.Option(help="More scores to tell, with commas, or `all`.")] = None,
    images: Annotated[int, typer.Option(help="Images to read at most, of each class its share.", min=20)] = 2000,
    limit_time: Annotated[str | None, typer.Option(
        help="End after this time with what is known: 90, 90s, 15m or 2h.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting of the job as key=value, such as val=0.1. May be repeated.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of everything random. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the ranking. Default ranks/DATA-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Rank pretrained models for DATA from their features, without training; `adapt` then takes the first.

    Only images of train and validation are read, never those of test.
    """
    from headstart.api import rank as ranked
    from headstart.cli.adapt import seconds
    from headstart.cli.models import count
    from headstart.cli.output import assigned, flags, print_json, print_table, say
    from headstart.cli.terminal import terminal

    found = ranked(
        data, backbones=backbones or (), family=family, licenses=license, source=source, available=available,
        max_params=count(max_params) if max_params else None, image_sizes=image_size or (), score=score,
        scores=scores or (), images=images, limit_time=seconds(limit_time) if limit_time else None, config=config,
        assignments=set_ or [], group_by=group_by, seed=seed, out=out, listen=terminal())
    if json:
        print_json({"ranking": str(found.directory), **found.to_json()})
        return
    for made in (table(found), *([score_table(found)] if found.best.scores else [])):
        print_table(made)
    # What decided which images were read, and how, goes on; what was ranked gives way to the first of the ranking.
    size = () if found.best.own_size else (f"image_size={found.best.size}",)
    say(*told(found), "next:", f"  headstart adapt {shlex.quote(found.data)}" + flags([
        ("--backbone", found.best.architecture), *assigned(size), ("--config", config), ("--group-by", group_by),
        ("--seed", seed), *assigned(set_ or [], but=("backbone", "image_size"))]))


def told(found: Ranking) -> list[str]:
    """Return what the table does not say: how the order came about, how far it holds, where it is kept."""
    from headstart.selection.rank_page import goes_by

    doubt = ["too few images to rank: any of these may be the best"] if found.too_few else []
    more = ["  so that a candidate of lower probe accuracy may come first"] if len(found.candidates) > 1 else []
    return [f"ranked by: {goes_by(found)}", *more, "* no other candidate beats it in probe accuracy and speed", *doubt,
            *(f"left out: {name}: {why}" for name, why in found.failed.items()),
            f"ranking {found.directory}", f"page    {found.directory}/rank.html"]


def table(ranking: Ranking) -> Table:
    """Return the candidates, best first."""
    from rich import box
    from rich.table import Table

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    found.add_column("rank", justify="right", no_wrap=True)
    found.add_column("candidate", overflow="fold", min_width=18)
    for name in ("probe accuracy", "images", "params", "GMACs", "img/s"):
        found.add_column(name, justify="right", no_wrap=True)
    for item in ranking.candidates:
        span = "" if item.rank_low == item.rank_high else f" ({item.rank_low}-{item.rank_high})"
        found.add_row(
            f"{item.rank}{span}", item.name + (" *" if item.frontier else ""),
            f"{item.accuracy:.3f}\n[dim]{item.accuracy_low:.3f}-{item.accuracy_high:.3f}[/dim]", str(item.images),
            f"{item.parameters / 1e6:.1f}M", f"{item.gmacs:.2f}", f"{item.images_per_second:.0f}")
    return found


def score_table(ranking: Ranking) -> Table:
    """Return the other scores of the first candidates, a row for each; --json has those of all."""
    from rich import box
    from rich.table import Table

    shown = ranking.candidates[:SHOWN]
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    found.add_column("score", no_wrap=True)
    for item in shown:
        found.add_column(item.name, justify="right", overflow="fold")
    for name in ranking.best.scores:
        values = [item.scores.get(name) for item in shown]
        found.add_row(name, *("-" if value is None else f"{value:.4g}" for value in values))
    return found
