"""The command line: one file per verb, no logic; heavy imports happen inside the verbs."""

from __future__ import annotations

import errno
import functools
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

import typer

from headstart.errors import EXIT_BUG, HeadstartError, Interrupted, ResourceError

VERBS = ("demo", "check", "convert", "labels", "models", "rank", "advise", "forecast", "adapt", "tune", "resume",
         "evaluate", "predict", "similar", "mismatch", "compare", "runs", "verify", "reproduce", "ui")
HELP = """Transfer learning for computer vision: from a folder of images to a proven model.

Exit codes: 0 done, 2 configuration, 3 data, 4 diverged, 5 resources, 6 integrity, 130 and 143 stopped by a signal,
70 a bug of ours."""
PLACES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""What the system says of a place that can't be written."""


def application() -> typer.Typer:
    """Return the Typer application with every verb."""
    app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                      rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    app.callback(invoke_without_command=True)(_version_option)
    for verb in VERBS:
        app.command(verb)(guarded(getattr(import_module(f"headstart.cli.{verb}"), verb)))
    return app


def _version_option(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"headstart {installed('headstart')}")
        raise typer.Exit


def guarded(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Return `verb` with every error turned into a message on standard error and its exit code."""

    @functools.wraps(verb)
    def call(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
        except HeadstartError as error:
            _refused(error, json=bool(kwargs.get("json")))
        except KeyboardInterrupt:
            complain("stopped")
            raise typer.Exit(128 + signal.SIGINT) from None
        except BrokenPipeError:
            # The reader of our output (head, less) left; Python must not complain about it again at exit.
            sys.stdout = None  # type: ignore[assignment]
        except (typer.Exit, typer.Abort):
            raise
        except OSError as error:
            if error.errno not in PLACES or not error.filename:
                _bug()
            # No fault of the program: the place that it was given takes no file.
            _refused(ResourceError(f"{error.filename}: {error.strerror}. Choose another place, or make room there."),
                     json=bool(kwargs.get("json")))
        except Exception:
            _bug()

    return call


def _refused(error: HeadstartError, *, json: bool) -> NoReturn:
    """Tell of an error that the user can mend, and end with its exit code."""
    complain(str(error))
    if json:
        from headstart.cli.output import print_json

        print_json({"error": {"kind": type(error).__name__, "message": str(error), "exit_code": error.exit_code}})
    raise typer.Exit(error.exit_code) from None


def _bug() -> NoReturn:
    """Tell of the error that is being handled as ours."""
    traceback.print_exc()
    complain("this is a bug in headstart; please report it with the lines above")
    raise typer.Exit(EXIT_BUG) from None


def complain(message: str) -> None:
    """Print an error for a person, on standard error."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print("error:", message, style="red", markup=False)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Interrupted("stopped by SIGTERM", signal_number=number)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    # Pillow's, of some large pictures; `images` has checked the size before, and refused what is too large.
    warnings.filterwarnings("ignore", "Image size .* could be decompression bomb", RuntimeWarning)
    application()()
