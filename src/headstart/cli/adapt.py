"""headstart adapt: from data to a proven model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def adapt(
    data: Annotated[str | None, typer.Argument(help="Folder, table or saved dataset; or `data:` in --config.")] = None,
    backbone: Annotated[str | None, typer.Option(
        help="Pretrained model; see `headstart models`. Default auto: the first of a ranking.")] = None,
    method: Annotated[str | None, typer.Option(
        help="auto (as `advise` finds), probe, finetune, lora, dora, ia3, distill, soup, scratch; with --target auto "
             "is transfer, and there are prototypes, coral, adabn, tent, shot, mcc, dann and more (all: "
             "docs/reference/methods.md). Several with commas.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the settings of a job.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="Any setting as key=value, such as method.finetune.epochs=5. May be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split and of everything random. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the run. Default runs/DATA-METHOD-N.")] = None,
    limit_time: Annotated[str | None, typer.Option(
        help="Stop training after this time with the best so far: 90, 90s, 15m or 2h.")] = None,
    init_from: Annotated[str | None, typer.Option(help="Start from the weights of this finished run.")] = None,
    folds: Annotated[int | None, typer.Option(
        help="Cross-validate in so many folds, and make one ensemble of their models.")] = None,
    on_overfit: Annotated[str | None, typer.Option(
        help="Where the watch sees overfitting: report it, stop, or regularise: go back and regularise more.")] = None,
    target: Annotated[str | None, typer.Option(
        help="Images of another domain to adapt to; they need no labels, and labels only prove the result.")] = None,
    format: Annotated[str | None, typer.Option(help="Data format; found out where not given.")] = None,
    group_by: Annotated[str | None, typer.Option(
        help="Images of one group share a split: a column, a regular expression, or `duplicates`.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out.")] = False,
    allow: Annotated[str | None, typer.Option(
        help="Findings of the check in spite of which to go on, with commas, such as leak_exact.")] = None,
    allow_licenses: Annotated[str | None, typer.Option(
        help="Licences of weights that may be used, with commas; `any` allows all. Default: permissive ones.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Adapt a pretrained model to DATA, prove it against baselines, and write a run with its report."""
    from headstart.cli.output import listeners, print_json, print_result, run_json
    from headstart.job import build_job
    from headstart.run import run
    from headstart.runs import free_directory

    job = build_job(
        {"data": data, "target": target, "backbone": backbone, "method": method, "seed": seed, "init_from": init_from,
         "folds": folds, "on_overfit": on_overfit, "format": format, "group_by": group_by, "skip_bad": skip_bad or None,
         "allow": allow, "allow_licenses": allow_licenses, "limit_time": seconds(limit_time) if limit_time else None},
        config=config, assignments=set_ or [])
    directory = out or free_directory(Path("runs"), job.title)
    result = run(job, directory, listen=listeners(job.tracking))
    if json:
        print_json(run_json(result))
    else:
        print_result(result)


def seconds(text: str) -> float:
    """Return seconds from `90`, `90s`, `15m` or `2h`. Raises ConfigError otherwise."""
    from headstart.errors import ConfigError

    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, factor = (text[:-1], unit[text[-1]]) if text[-1:] in unit else (text, 1.0)
    try:
        value = float(number) * factor
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"--limit-time {text}: write a positive time such as 90, 90s, 15m or 2h.")
    return value
