"""Children that run a training and die, by their own hand, at a chosen moment."""

import faulthandler
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from headstart.errors import HeadstartError
from headstart.events import Event, Progress

PATIENCE = 240
"""Seconds after which a child counts as hung; it says where it stands, and ends."""


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 70
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            work()
            code = 0
        except HeadstartError as error:
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
