"""headstart demo: real digits, a real ImageNet model, a proven result in two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the images and the run.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Adapt EfficientNet-Lite0 to 1,797 handwritten digits: probe and fine-tune against majority and scratch."""
    from headstart.cli.output import listeners, print_json, print_result, run_json
    from headstart.digits import digits_job, write_digits
    from headstart.run import run
    from headstart.runs import free_directory

    job = digits_job(write_digits(out / "demo-digits"))
    directory = free_directory(out, "demo")
    result = run(job, directory, listen=listeners(job.tracking))
    if json:
        print_json(run_json(result))
    else:
        print_result(result)
