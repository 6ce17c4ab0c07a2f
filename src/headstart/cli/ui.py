"""`headstart ui`: MLflow's page of the runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from headstart.errors import ConfigError, ResourceError


def ui(
    runs: Annotated[Path, typer.Option(help="Folder that holds the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
) -> None:
    """Show the recorded runs in MLflow's page, on this machine only. Ctrl-C ends it."""
    from headstart.tracking import WITHOUT_TELEMETRY, default_uri, page_command

    uri = default_uri(runs)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise ConfigError(f"{runs.resolve()}: there is no mlflow.db, so no run was recorded here yet. Start one with "
                          "`headstart adapt`, or name the folder of your runs with --runs.")
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ResourceError(f"port {port} is taken by another program. Choose another with --port.") from None
    typer.echo(f"http://127.0.0.1:{port}  (Ctrl-C ends it)", err=True)
    command = page_command(uri, port=port)
    os.execve(command[0], command, {**os.environ, **WITHOUT_TELEMETRY})  # Ctrl-C goes straight to MLflow
