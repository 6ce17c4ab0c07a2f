"""headstart compare: are two runs really different?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more runs on the same test images; the first is the one "
                                                    "that the others are compared with.")],
    metric: Annotated[str | None, typer.Option(help="Metric to compare; default: what the task selects by.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Compare runs by paired bootstrap, on the test images they share, or on those of the same target."""
    from headstart.cli.output import metrics_table, print_json, print_table, say
    from headstart.confrontation import confront, shared_split
    from headstart.runs import load_run

    loaded = [load_run(path) for path in runs]
    differences = confront(loaded, metric=metric)
    if json:
        print_json({"runs": [str(run) for run in loaded], "comparisons": differences})
        return
    split = shared_split(*loaded)
    print_table(metrics_table({str(run): run.splits[split] for run in loaded}, title=f"{split} split"))
    say(*(found["text"] for found in differences))
