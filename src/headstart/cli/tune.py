"""headstart tune: search the settings with which these data are learnt best, and prove the winner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headstart.tuning.result import Tuned


def tune(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Pretrained model; see `headstart models`.")] = None,
    method: Annotated[str | None, typer.Option(
        help="Methods to try, with commas. Default: probe, finetune, and lora where peft is installed.")] = None,
    trials: Annotated[int, typer.Option(help="Number of settings to try.")] = 30,
    limit_time: Annotated[str | None, typer.Option(
        help="End the search after this time: 90, 90s, 15m or 2h. The winner is trained after that.")] = None,
    workers: Annotated[int, typer.Option(help="Trials at the same time, each a process.")] = 1,
    space: Annotated[Path | None, typer.Option(help="YAML file with what to search; replaces the default.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job, to start from.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting as key=value, which is then not searched. May be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split, the training and the search. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(
        help="Folder for the search. One with an unfinished search goes on. Default tunes/DATA-N.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out.")] = False,
    allow: Annotated[str | None, typer.Option(
        help="Findings of the check in spite of which to go on, with commas, such as leak_exact.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Search method and settings for DATA by their validation metric; train the winner and read test once."""
    from headstart.cli.adapt import seconds
    from headstart.cli.output import listeners, print_json, print_result, say
    from headstart.runs import free_directory
    from headstart.tuning.candidates import build_search
    from headstart.tuning.tune import tune as search

    base, found = build_search(
        {"data": data, "backbone": backbone, "method": method, "seed": seed, "group_by": group_by,
         "skip_bad": skip_bad or None, "allow": allow, "limit_time": seconds(limit_time) if limit_time else None},
        config=config, assignments=set_ or [], space=space)
    directory = out or free_directory(Path("tunes"), Path(base.data).name or "data")
    tuned = search(base, found, directory, trials=trials, workers=workers, listen=listeners(base.tracking))
    if json:
        print_json(tune_json(tuned))
        return
    print_result(tuned.run)
    winner = tuned.winner
    assert winner is not None, "a finished search has a winner"
    say("", f"search  {directory / 'tune.html'}", f"best    {directory / 'best.yaml'}",
        f"        trial {winner.number}: {winner}")


def tune_json(tuned: Tuned) -> dict[str, object]:
    """Return what `--json` prints of a finished search."""
    from collections import Counter

    from headstart.cli.output import run_json

    winner = tuned.winner
    assert winner is not None, "a finished search has a winner"
    return {"tune": str(tuned.directory), "metric": tuned.record["metric"],
            "best": {"trial": winner.number, "value": winner.value, "settings": winner.settings},
            "config": str(tuned.directory / "best.yaml"), "page": str(tuned.directory / "tune.html"),
            "trials": dict(Counter(outcome.state for outcome in tuned.outcomes)), "importance": tuned.importance,
            "run": run_json(tuned.run)}
