"""headstart verify: are data, weights and files still what the receipts say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Verify RUN; one changed pixel or label is found. Exit code 6 if anything has changed."""
    from headstart.cli.output import print_json, say
    from headstart.errors import IntegrityError
    from headstart.receipts import verify as check
    from headstart.runs import load_run

    loaded = load_run(run)
    receipts = check(loaded)
    broken = [receipt for receipt in receipts if not receipt.intact]
    if json:
        print_json({"run": str(run), "intact": not broken,
                    "receipts": [{"what": r.what, "intact": r.intact, "detail": r.detail} for r in receipts]})
    else:
        say(*(f"{'ok     ' if r.intact else 'CHANGED'} {r.what}: {r.detail}" for r in receipts))
    if broken and json:
        raise typer.Exit(IntegrityError.exit_code)
    if broken:
        raise IntegrityError(f"{run}: {len(broken)} of {len(receipts)} receipts do not hold.")
