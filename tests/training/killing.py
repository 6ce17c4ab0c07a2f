"""Children that run a training and die, by their own hand, at a chosen moment."""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.cli import main
from headstart.errors import HeadstartError
from headstart.events import Event, Progress

PATIENCE = 240
"""Seconds after which a child counts as hung; it says where it stands, and ends."""


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; return its exit code, or minus the signal that ended it."""
    return ended(begun(work))


def ended(child: int) -> int:
    """Wait for a child; return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_over(child: int) -> bool:
    """Return whether a child has ended, and leave the waiting for it to `ended`."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def begun(work: Callable[[], object]) -> int:
    """Begin `work` in a forked child, which has imported all that this process has; return its number."""
    child = os.fork()
    if child == 0:
        code = 70
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            work()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 70
        except HeadstartError as error:
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def typed(words: Sequence[object], said: Path) -> int:
    """Type a command of headstart in a forked child, which writes to `said` what it says; return its number."""
    def work() -> None:
        said.parent.mkdir(parents=True, exist_ok=True)
        with said.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv[1:] = map(str, words)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)  # deaf to it where the suite runs in the background
        main()

    return begun(work)


def kill_at_step(step: int, number: int = signal.SIGKILL, *, times: int = 1) -> Callable[[Event], None]:
    """Return a listener that sends this process a signal when training has done `step` steps."""

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.step.endswith("training") and event.done == step:
            for _ in range(times):
                os.kill(os.getpid(), number)

    return listen


def kill_at_fsync(count: int) -> None:
    """Make this process die in the middle of its `count`-th write to disk: half of the file is there."""
    done = 0
    real = os.fsync

    def fsync(handle: int) -> None:
        nonlocal done
        done += 1
        if done == count:
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync
