"""headstart reproduce: repeat a run from its record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option(help="New folder for the repetition. Default RUN-again-N.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Repeat RUN from its record and say whether the metrics are equal. Exit code 6 if they are not."""
    from headstart.cli.output import listeners, print_json, say
    from headstart.errors import IntegrityError
    from headstart.receipts import changed_metrics, changed_versions
    from headstart.run import repeat
    from headstart.runs import free_directory, load_run

    loaded = load_run(run)
    directory = out or free_directory(run.parent, f"{run.name}-again")
    again = repeat(loaded, directory, listen=listeners(loaded.job.tracking))
    differences, versions = changed_metrics(loaded, again), changed_versions(loaded, again)
    if json:
        print_json({"run": str(run), "again": str(directory), "equal": not differences, "differences": differences,
                    "versions": versions})
    else:
        say(f"again   {directory}", *(f"version {line}" for line in versions))
        say("equal: every metric of every split is the same number" if not differences else
            "not equal:", *(f"  {line}" for line in differences))
    if differences and json:
        raise typer.Exit(IntegrityError.exit_code)
    if differences:
        raise IntegrityError(f"{run}: {len(differences)} metrics differ from the record.")
