"""headstart models: which pretrained models there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from headstart.backbones.source import BackboneSpec

UNITS = {"k": 1e3, "m": 1e6, "b": 1e9}


def models(
    text: Annotated[str, typer.Argument(help="Words that name, family, source or licence hold, such as `resnet`; "
                                             "`detector` finds the published detectors.", show_default=False)] = "",
    search: Annotated[str, typer.Option("--search", help="The same as TEXT.", show_default=False)] = "",
    source: Annotated[str | None, typer.Option("--source", help="Only of one source: packaged, timm, torchvision.",
                                               show_default=False)] = None,
    max_params: Annotated[str | None, typer.Option("--max-params", help="At most so many parameters, such as 25M.",
                                                   show_default=False)] = None,
    available: Annotated[bool, typer.Option("--available", help="Only those usable without a download.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the pretrained models: cost, accuracy, licence, and whether the weights are here."""
    from headstart.backbones import resolve
    from headstart.cli.output import print_json, print_table, say

    found = resolve.search(f"{text} {search}", source=source, available=available,
                           max_params=None if max_params is None else count(max_params))
    if json:
        print_json({"models": [spec.model_dump(mode="json") for spec in found]})
        return
    if not found:
        say("No model fits. `headstart models` lists all; any other timm model works as timm/NAME.")
        return
    print_table(table(found))
    say("Any other timm model works as timm/NAME, a file of weights as NAME@PATH. ImageNet top-1 is as published.")


def count(text: str) -> float:
    """Return the number in `25M`, `1.5b` or `3000000`. Raises ConfigError."""
    from headstart.errors import ConfigError

    unit = UNITS.get(text[-1:].lower(), 1.0)
    try:
        return float(text if unit == 1.0 else text[:-1]) * unit
    except ValueError:
        raise ConfigError(f'--max-params: "{text}" is no number of parameters. '
                          "Write it as 25M, 1.5B or 3000000.") from None


def table(specs: list[BackboneSpec]) -> Table:
    """Return the rich table of the records."""
    from rich.table import Table

    found = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    found.add_column("name", overflow="fold", min_width=18)
    found.add_column("source", overflow="fold", min_width=11, max_width=11)
    for name, width in (("params", 6), ("GMACs", 6), ("input", 5), ("top-1 %", 9)):
        found.add_column(name, justify="right", no_wrap=True, min_width=width)
    found.add_column("licence", overflow="fold", min_width=10, max_width=10)
    found.add_column("weights", no_wrap=True, min_width=len("download"))
    for spec in specs:
        top1 = "" if spec.top1 is None else f"{spec.top1:.1f}"
        if top1 and spec.top1_size != spec.preprocessing.size:
            top1 += f" @{spec.top1_size}"
        parameters = "" if spec.parameters is None else f"{_short(spec.parameters / 1e6, 1)}M"
        gmacs = "" if spec.gmacs is None else _short(spec.gmacs, 2)
        found.add_row(spec.architecture, spec.source, parameters, gmacs, str(spec.preprocessing.size), top1,
                      spec.license, spec.availability)
    return found


def _short(value: float, decimals: int) -> str:
    """Return the number without decimals from 100 on, where a column of 80 has no place for them."""
    return f"{value:.{0 if value >= 100 else decimals}f}"
