"""headstart resume: go on with an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Go on with RUN to the result it would have had. A finished run is left as it is."""
    from headstart.cli.output import listeners, print_json, print_result, run_json
    from headstart.run import resume as go_on
    from headstart.runs import load_run

    result = go_on(run, listen=listeners(load_run(run).job.tracking))
    if json:
        print_json(run_json(result))
    else:
        print_result(result)
